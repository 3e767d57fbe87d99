package middleware

import (
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tokenlife/tokenlife/middleware/internal/stepup"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
)

// A Refusal is the error for a request that does not reach its handler. It has
// what the request is answered with (RFC 6750 section 3), and the reason, which
// is for the log. The reason may wrap [verify.ErrExpired], [verify.ErrInvalid]
// or [refresh.ErrDenied]. Each request has a Refusal of its own, which OnError
// may change.
type Refusal struct {
	Status     int           // 400, 401, 403 or 503; an endpoint also answers 405
	Challenge  string        // the WWW-Authenticate header; empty: none
	RetryAfter time.Duration // the Retry-After header; zero: none
	SignIn     string        // where a page with status 503 offers to sign in again; empty: it does not
	Err        error         // the reason; the client does not see it

	demand stepup.Demand // what a sign-in has to be to mend it; zero: any
}

// Error returns the status and the reason. It has no part of a token.
func (e *Refusal) Error() string {
	return fmt.Sprintf("middleware: refused with %d: %v", e.Status, e.Err)
}

// Unwrap returns the reason.
func (e *Refusal) Unwrap() error { return e.Err }

// Reasons for a Refusal. They are not exported: the status tells them apart.
var (
	errNoCredential = errors.New("middleware: no access token")
	errTwoHeaders   = errors.New("middleware: more than one Authorization header")
	errMalformed    = errors.New("middleware: malformed bearer token")
	errCrossOrigin  = errors.New("middleware: a request of another origin")
	errScope        = errors.New("middleware: a scope is missing")
	errDemand       = errors.New("middleware: the user has not been authenticated as the handler demands")
	errGroup        = errors.New("middleware: a group is missing")
	errUnusable     = errors.New("middleware: a refresh brought a token that cannot be used now")
)

// retryAfter is the Retry-After of a 503 if the provider has not sent one.
const retryAfter = time.Second

// challenges are the values of WWW-Authenticate.
type challenges struct {
	none, request, token, scope, group, demand string
}

func newChallenges(realm string) (challenges, error) {
	if realm == "" {
		realm = "api"
	}
	for _, c := range []byte(realm) {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			return challenges{}, errors.New("only printable ASCII without quotes and backslashes fits into a header")
		}
	}
	bearer := `Bearer realm="` + realm + `"`
	return challenges{
		none:    bearer,
		request: bearer + `, error="invalid_request"`,
		token:   bearer + `, error="invalid_token", error_description="the access token is missing, malformed, expired or revoked"`,
		scope:   bearer + `, error="insufficient_scope", scope="`,
		demand:  bearer + `, `,
		group:   bearer + `, error="insufficient_scope", error_description="this is for members of a group"`,
	}, nil
}

// refusal returns the [*Refusal] for err.
func (a *Auth) refusal(err error) error {
	e := &Refusal{Status: statusOf(err), Err: err}
	switch e.Status {
	case http.StatusBadRequest:
		e.Challenge = a.challenges.request
	case http.StatusUnauthorized:
		e.Challenge = a.challenges.token
		if errors.Is(err, errNoCredential) {
			e.Challenge = a.challenges.none
		}
	case http.StatusServiceUnavailable:
		e.RetryAfter = retryAfter
		var p *refresh.ProviderError
		if errors.As(err, &p) && p.RetryAfter > 0 {
			e.RetryAfter = min(p.RetryAfter, time.Minute)
		}
	}
	return e
}

// statusOf returns the status of a request that is refused because of err.
func statusOf(err error) int {
	switch {
	case err == errNoCredential: // the most frequent one
		return http.StatusUnauthorized
	case errors.Is(err, errTwoHeaders), errors.Is(err, errMalformed):
		return http.StatusBadRequest
	case errors.Is(err, errCrossOrigin):
		return http.StatusForbidden
	case errors.Is(err, errUnusable):
		// The provider has just issued the token. Its key may be too new to be
		// known yet, and a later request may find it good.
		return http.StatusServiceUnavailable
	case errors.Is(err, refresh.ErrDenied), errors.Is(err, refresh.ErrOtherSubject),
		errors.Is(err, verify.ErrInvalid), errors.Is(err, verify.ErrExpired),
		errors.Is(err, errNoCredential):
		return http.StatusUnauthorized
	}
	// The provider, its keys or a Store cannot be reached. That ends no login.
	return http.StatusServiceUnavailable
}

// needScopes returns a 403 if t lacks one of the scopes.
func (a *Auth) needScopes(t *verify.Token, scopes []string) error {
	for _, s := range scopes {
		if !t.HasScope(s) {
			return &Refusal{
				Status:    http.StatusForbidden,
				Challenge: a.challenges.scope + strings.Join(scopes, " ") + `"`,
				Err:       errScope,
			}
		}
	}
	return nil
}

// needGroups returns a 403 if t lacks one of the groups. RFC 6750 has no error
// code for groups; insufficient_scope is the nearest. The challenge does not
// name the groups: no client could ask for them.
func (a *Auth) needGroups(t *verify.Token, groups []string) error {
	for _, g := range groups {
		if !t.HasGroup(g) {
			return &Refusal{Status: http.StatusForbidden, Challenge: a.challenges.group, Err: errGroup}
		}
	}
	return nil
}

// isStatus reports whether err is a Refusal with one of the statuses.
func isStatus(err error, statuses ...int) bool {
	var e *Refusal
	return errors.As(err, &e) && slices.Contains(statuses, e.Status)
}

// refuse answers a request that err refuses.
func (a *Auth) refuse(w http.ResponseWriter, r *http.Request, err error) {
	a.observeRefusal(r.Context(), err)
	if a.LoginURL != "" && isStatus(err, http.StatusUnauthorized) && isNavigation(r) {
		if to := a.signInURL(r, demandOf(err)); to != "" {
			noStore(w.Header())
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusFound)
			return
		}
	}
	// A login whose refresh fails for good would otherwise have no way out.
	if a.LoginURL != "" && isStatus(err, http.StatusServiceUnavailable) && isNavigation(r) {
		var e *Refusal
		if errors.As(err, &e) {
			e.SignIn = withReturnTo(a.LoginURL, r)
		}
	}
	if a.OnError != nil {
		a.OnError(w, r, err)
		return
	}
	WriteError(w, r, err)
}

// WriteError answers a request with err, which is usually a [*Refusal]. It
// writes the status, the challenge and Retry-After. The body says no more than
// these: it is a page if a browser navigates, and otherwise a problem document
// (RFC 9457). For an error without a Refusal the status is 401 if the error
// says that a token is not good, and otherwise 503. A page with status 503 has a
// link to SignIn.
func WriteError(w http.ResponseWriter, r *http.Request, err error) {
	var e *Refusal
	if !errors.As(err, &e) {
		e = &Refusal{Status: http.StatusServiceUnavailable, RetryAfter: retryAfter}
		if errors.Is(err, verify.ErrInvalid) || errors.Is(err, verify.ErrExpired) || errors.Is(err, refresh.ErrDenied) {
			e = &Refusal{Status: http.StatusUnauthorized, Challenge: `Bearer error="invalid_token"`}
		}
	}
	h := w.Header()
	noStore(h)
	if e.Challenge != "" {
		h["Www-Authenticate"] = []string{e.Challenge}
	}
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
	}
	h["X-Content-Type-Options"] = nosniff
	if isNavigation(r) {
		h["Content-Type"] = typeHTML
		w.WriteHeader(e.Status)
		offer := ""
		if e.SignIn != "" && e.Status == http.StatusServiceUnavailable {
			offer = fmt.Sprintf(signInOffer, html.EscapeString(e.SignIn))
		}
		fmt.Fprintf(w, page, http.StatusText(e.Status), http.StatusText(e.Status), explain(e.Status), offer)
		return
	}
	h["Content-Type"] = typeProblem
	w.WriteHeader(e.Status)
	if body, ok := problems[e.Status]; ok {
		_, _ = w.Write(body)
	}
}

var (
	nosniff     = []string{"nosniff"}
	typeHTML    = []string{"text/html; charset=utf-8"}
	typeProblem = []string{"application/problem+json"}
	privately   = []string{"private, no-store"}
	problems    = problemBodies()
)

// page has no style and no script, so that every Content-Security-Policy allows
// it.
const page = `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<title>%s</title><h1>%s</h1><p>%s</p>%s</html>
`

// signInOffer is a part of page.
const signInOffer = `<p>If this goes on: <a href="%s">Sign in again</a></p>`

// explain returns the text of the page for a status.
func explain(status int) string {
	switch status {
	case http.StatusBadRequest:
		return "The request's credentials are malformed."
	case http.StatusUnauthorized:
		return "Please sign in to see this page."
	case http.StatusForbidden:
		return "This request is not allowed."
	case http.StatusMethodNotAllowed:
		return "There is nothing to be seen at this address."
	default:
		return "The sign-in service cannot be reached just now. You are still signed in: please try again in a moment."
	}
}

// problemBodies returns the problem documents by status. They are made once, so
// that a flood of refused requests costs little.
func problemBodies() map[int][]byte {
	m := make(map[int][]byte)
	for _, status := range []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusServiceUnavailable} {
		// A struct of an int and a string cannot fail to encode.
		m[status], _ = json.Marshal(struct {
			Title  string `json:"title"`
			Status int    `json:"status"`
		}{http.StatusText(status), status})
	}
	return m
}

// noStore forbids caches to store a response about a login.
func noStore(h http.Header) { h["Cache-Control"] = privately }

// isNavigation reports whether r is for a page that a person will see, and not
// for a script.
func isNavigation(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate"
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}
