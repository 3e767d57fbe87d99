package login

import (
	"bytes"
	"context"
	"encoding/json"
	"mime"
	"net/http"
	"net/url"

	"github.com/tokenlife/tokenlife/refresh"
)

const (
	// maxAnswer bounds the callback's query or form, in bytes. The longest
	// known codes are JWTs.
	maxAnswer = 16 << 10

	maxError  = 400     // bytes of each of its texts
	maxUser   = 2 << 10 // bytes
	maxCookie = 4 << 10 // bytes of its name and value: RFC 6265, section 6.1

	modeFormPost = "form_post"
)

// An answer is what the provider has sent by way of the browser (RFC 6749,
// section 4.1.2; RFC 9207, section 2).
type answer struct {
	State       string `json:"-"`
	Code        string `json:"c,omitempty"`
	Issuer      string `json:"i,omitempty"`
	Error       string `json:"e,omitempty"`
	Description string `json:"d,omitempty"`
	User        string `json:"u,omitempty"` // of a form: a JSON object, not verified
}

// parseAnswer reads the query of a callback.
func parseAnswer(raw string) (answer, error) {
	if len(raw) > maxAnswer {
		return answer{}, errParameters
	}
	q, err := url.ParseQuery(raw)
	if err != nil {
		return answer{}, errParameters // the error itself repeats the query
	}
	return readAnswer(q)
}

// readAnswer reads the parameters of a callback. It refuses a repeated one (RFC
// 6749, section 3.1), of which the provider and this package could each read
// another value.
func readAnswer(q url.Values) (answer, error) {
	for _, values := range q {
		if len(values) > 1 {
			return answer{}, errParameters
		}
	}
	a := answer{
		State: q.Get("state"), Code: q.Get("code"), Issuer: q.Get("iss"),
		Error: q.Get("error"), Description: q.Get("error_description"),
	}
	a.Error, a.Description = a.Error[:min(len(a.Error), maxError)], a.Description[:min(len(a.Description), maxError)]
	if a.Code != "" && a.Error != "" {
		return answer{}, errParameters
	}
	return a, nil
}

// takePost takes an answer that comes by POST from the provider's site (OAuth
// 2.0 Form Post Response Mode). With such a request browsers send no cookies
// but those with SameSite=None: the attempt's, and not the login's. So the
// answer is put into the attempt, and the browser is redirected to the callback
// by GET, with all its cookies and without a code in the URL.
func (f *Flow) takePost(w http.ResponseWriter, r *http.Request) {
	private(w.Header())
	answer, err := parseForm(w, r)
	if err != nil {
		f.fail(w, r, &Failure{Status: http.StatusBadRequest, Again: f.again("/"), Err: err})
		return
	}
	a, ok := f.recall(r, answer.State)
	if !ok {
		redirect(w, f.RedirectURL) // the login's cookies say what this is: see Callback
		return
	}
	back := *f.callback
	q := back.Query()
	q.Set("state", a.State)
	for _, user := range []string{answer.User, ""} { // if they are too long together, the user is left out
		answer.User, a.Answer = user, &answer
		if name, value := f.seal(a); len(name)+len(value) <= maxCookie {
			http.SetCookie(w, f.cookie(name, value, int(attemptLife.Seconds())))
			back.RawQuery = q.Encode()
			redirect(w, back.String())
			return
		}
	}
	// A code that fits into no cookie goes where it would be without form_post.
	for name, value := range map[string]string{"code": answer.Code, "iss": answer.Issuer, "error": answer.Error} {
		if value != "" {
			q.Set(name, value)
		}
	}
	back.RawQuery = q.Encode()
	redirect(w, back.String())
}

// parseForm reads the body of a callback that comes by POST.
func parseForm(w http.ResponseWriter, r *http.Request) (answer, error) {
	if form, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || form != "application/x-www-form-urlencoded" {
		return answer{}, errParameters
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxAnswer)
	if err := r.ParseForm(); err != nil {
		return answer{}, errParameters // the error itself repeats a piece of it
	}
	a, err := readAnswer(r.PostForm)
	var object map[string]json.RawMessage
	if user := r.PostForm.Get("user"); len(user) <= maxUser && json.Unmarshal([]byte(user), &object) == nil && object != nil {
		var compact bytes.Buffer
		_ = json.Compact(&compact, []byte(user)) // it has been read
		a.User = compact.String()
	}
	return a, err
}

// tellUser calls OnUnverifiedUser.
func (f *Flow) tellUser(ctx context.Context, t refresh.Tokens, user string) {
	if f.OnUnverifiedUser == nil || user == "" || t.ID == "" {
		return
	}
	// It has been verified before.
	if id, err := f.idTokens.Verify(ctx, t.ID); err == nil {
		f.OnUnverifiedUser(ctx, id, user)
	}
}
