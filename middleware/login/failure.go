package login

import (
	"encoding/json"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/event"
)

// A Failure is why a sign-in did not succeed. Of what the provider and the
// browser have sent, it repeats a known error code, and the Description.
type Failure struct {
	Status int    // of the answer: 400, 403, 500, 502 or 503
	Code   string // the provider's error code, if it is a known one, else empty
	Again  string // the URL to begin anew
	Err    error  // the reason, for the log; it is not shown to the client

	// Description is what the provider says in its own words: the
	// error_description, of its answer or of its token endpoint, and a code
	// that is not known. It is for a log, printable and of at most 300
	// characters. A stranger may have written it: Error does not show it, and
	// it is not for the client.
	Description string
}

// Error names the provider's error code, if there is one, and the reason.
func (e *Failure) Error() string {
	text := "login: sign-in failed: "
	if e.Code != "" {
		text += e.Code + ": "
	}
	return text + e.Err.Error()
}

// ProviderSays returns the Description. An event that has the error tells it to
// the log.
func (e *Failure) ProviderSays() string { return e.Description }

// Unwrap returns the reason.
func (e *Failure) Unwrap() error { return e.Err }

// codes are the registered errors of an authorization response (RFC 6749,
// section 4.1.2.1; OpenID Connect Core 1.0, section 3.1.2.6; Core Error Code
// unmet_authentication_requirements 1.0; RFC 8707), and two of Apple and
// LinkedIn. A value reports whether the user has caused the error, by a
// decision, and not a fault.
var codes = map[string]bool{
	"access_denied":              true,
	"account_selection_required": true,
	"consent_required":           true,
	"interaction_required":       true,
	"login_required":             true,

	"unmet_authentication_requirements": true,
	"user_cancelled_authorize":          true,
	"user_cancelled_login":              true,

	"invalid_request":            false,
	"invalid_request_object":     false,
	"invalid_request_uri":        false,
	"invalid_scope":              false,
	"invalid_target":             false,
	"registration_not_supported": false,
	"request_not_supported":      false,
	"request_uri_not_supported":  false,
	"server_error":               false,
	"temporarily_unavailable":    false,
	"unauthorized_client":        false,
	"unsupported_response_type":  false,
}

func knownCode(code string) string {
	if _, ok := codes[code]; ok {
		return code
	}
	return ""
}

func statusOf(code string) int {
	switch {
	case codes[code]:
		return http.StatusForbidden
	case code == "temporarily_unavailable":
		return http.StatusServiceUnavailable
	}
	return http.StatusBadGateway
}

// explain returns the text for the user.
func (e *Failure) explain() string {
	switch {
	case e.Code == "access_denied", strings.HasPrefix(e.Code, "user_cancelled_"):
		return "The sign-in was cancelled, or your account may not sign in here."
	case codes[e.Code], errors.Is(e.Err, errUnmet):
		return "The sign-in service wants you to sign in once more."
	case errors.Is(e.Err, errAsked):
		return "A sign-in cannot begin in this way."
	case e.Status == http.StatusInternalServerError:
		return "A sign-in cannot begin just now."
	case e.Status == http.StatusBadRequest:
		return "This sign-in has ended, was begun too long ago, or was begun in another browser."
	case e.Status == http.StatusServiceUnavailable:
		return "The sign-in service cannot be reached just now. Please try again in a moment."
	default:
		return "The sign-in service gave an answer that could not be used. Please try again in a moment."
	}
}

func (f *Flow) tell(r *http.Request, e *Failure) {
	var refused *refresh.ProviderError
	if e.Description == "" && errors.As(e.Err, &refused) {
		e.Description = refused.Description
	}
	f.Auth.Observe.Tell(r.Context(), event.Event{Kind: event.SignInFailed, Level: event.LevelOf(e), Reason: e.Code, Err: e})
}

func (f *Flow) fail(w http.ResponseWriter, r *http.Request, e *Failure) {
	f.tell(r, e)
	if f.OnError != nil {
		f.OnError(w, r, e)
		return
	}
	WriteError(w, r, e)
}

// again returns the URL at which the user can begin anew.
func (f *Flow) again(returnTo string) string {
	u, err := url.Parse(f.Auth.LoginURL)
	if err != nil || f.Auth.LoginURL == "" {
		return "/"
	}
	q := u.Query()
	q.Set("return_to", returnTo)
	u.RawQuery = q.Encode()
	return u.String()
}

// WriteError answers with err, which should be a [*Failure]. A page navigation
// gets a page with a fixed text and a link to begin anew, any other request a
// problem document (RFC 9457). Any other error is answered with 502.
func WriteError(w http.ResponseWriter, r *http.Request, err error) {
	var e *Failure
	if !errors.As(err, &e) {
		e = &Failure{Status: http.StatusBadGateway, Again: "/", Err: err}
	}
	h := w.Header()
	private(h)
	h.Set("X-Content-Type-Options", "nosniff")
	if e.Status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	if isNavigation(r) {
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		w.WriteHeader(e.Status)
		_ = page.Execute(w, struct{ Text, Again string }{e.explain(), e.Again})
		return
	}
	h.Set("Content-Type", "application/problem+json")
	w.WriteHeader(e.Status)
	_ = json.NewEncoder(w).Encode(struct {
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
	}{"Sign-in failed", e.Status, e.explain()})
}

var page = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<title>Sign-in failed</title><h1>Sign-in failed</h1><p>{{.Text}}</p><p><a href="{{.Again}}">Sign in again</a></p></html>
`))

// isNavigation reports whether a browser requests r to show it as a page.
func isNavigation(r *http.Request) bool {
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate"
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}
