package middleware

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
)

// A Refusal is why a request does not go on: the answer of RFC 6750 section 3,
// and the reason, which is for the log. The reason is found by errors.Is and
// errors.As: [verify.ErrExpired], [verify.ErrInvalid], [refresh.ErrDenied].
type Refusal struct {
	Status     int           // 400, 401, 403 or 503; 405 of endpoints
	Challenge  string        // the WWW-Authenticate header; empty for none
	RetryAfter time.Duration // the Retry-After header; zero for none
	Err        error         // the reason; it is not shown to the client
}

// Error names the status and the reason. It holds nothing of a token.
func (e *Refusal) Error() string {
	return fmt.Sprintf("middleware: refused with %d: %v", e.Status, e.Err)
}

// Unwrap returns the reason.
func (e *Refusal) Unwrap() error { return e.Err }

// Reasons of our own. A caller who wants to tell them apart has the status.
var (
	errNoCredential = errors.New("middleware: no access token")
	errTwoHeaders   = errors.New("middleware: more than one Authorization header")
	errMalformed    = errors.New("middleware: malformed bearer token")
	errCrossOrigin  = errors.New("middleware: a request of another origin")
	errScope        = errors.New("middleware: a scope is missing")
	errGroup        = errors.New("middleware: a group is missing")
	errOtherSubject = errors.New("middleware: a refresh brought the tokens of another subject")
	errUnusable     = errors.New("middleware: a refresh brought a token that cannot be used now")
)

// retryAfter is when a client may come again that found the provider or its
// keys out of reach, where nothing better is known.
const retryAfter = time.Second

// challenges are the values of WWW-Authenticate, made once.
type challenges struct {
	none, request, token, scope, group string
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
		group:   bearer + `, error="insufficient_scope", error_description="this is for members of a group"`,
	}, nil
}

// refusal returns what a request is answered with because of err. It is the
// request's own: OnError may change it.
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

// statusOf returns the status of the answer to a request that is refused because
// of err.
func statusOf(err error) int {
	switch {
	case err == errNoCredential: // the usual one
		return http.StatusUnauthorized
	case errors.Is(err, errTwoHeaders), errors.Is(err, errMalformed):
		return http.StatusBadRequest
	case errors.Is(err, errCrossOrigin):
		return http.StatusForbidden
	case errors.Is(err, errUnusable):
		// The token came from the provider itself. Its key may be too new to be
		// known yet, which a later request will see otherwise.
		return http.StatusServiceUnavailable
	case errors.Is(err, refresh.ErrDenied), errors.Is(err, errOtherSubject),
		errors.Is(err, verify.ErrInvalid), errors.Is(err, verify.ErrExpired),
		errors.Is(err, errNoCredential):
		return http.StatusUnauthorized
	}
	// The provider or its keys are out of reach: that ends no login.
	return http.StatusServiceUnavailable
}

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

// needGroups answers as for a scope, which is the nearest that RFC 6750 section
// 3.1 has a word for. The groups are not named: they are the service's own, and
// no client could ask for them.
func (a *Auth) needGroups(t *verify.Token, groups []string) error {
	for _, g := range groups {
		if !t.HasGroup(g) {
			return &Refusal{Status: http.StatusForbidden, Challenge: a.challenges.group, Err: errGroup}
		}
	}
	return nil
}

func isStatus(err error, statuses ...int) bool {
	var e *Refusal
	return errors.As(err, &e) && slices.Contains(statuses, e.Status)
}

// refuse answers a request that does not go on.
func (a *Auth) refuse(w http.ResponseWriter, r *http.Request, err error) {
	a.observeRefusal(r.Context(), err)
	if a.LoginURL != "" && isStatus(err, http.StatusUnauthorized) && isNavigation(r) {
		noStore(w.Header())
		w.Header().Set("Location", withReturnTo(a.LoginURL, r))
		w.WriteHeader(http.StatusFound)
		return
	}
	if a.OnError != nil {
		a.OnError(w, r, err)
		return
	}
	WriteError(w, r, err)
}

// WriteError answers with err, which is best a [*Refusal]: status, challenge and
// Retry-After, and a body that says no more than these do, as a problem
// document (RFC 9457) or, where a browser navigates, as a page. An error that
// says only what is wrong with a token is 401, any other 503.
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
		fmt.Fprintf(w, page, http.StatusText(e.Status), http.StatusText(e.Status), explain(e.Status))
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

// page needs neither a style nor a script, so no Content-Security-Policy stands
// in its way.
const page = `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<title>%s</title><h1>%s</h1><p>%s</p></html>
`

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

// problemBodies makes the bodies once: a flood of refused requests is answered
// from memory.
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

// noStore keeps an answer about a login out of every cache.
func noStore(h http.Header) { h["Cache-Control"] = privately }

// isNavigation tells whether a person waits for a page, not a script for data.
func isNavigation(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate"
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}
