package middleware

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
)

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

// withReturnTo adds the page that r asks for to a login URL.
func withReturnTo(login string, r *http.Request) string {
	u, err := url.Parse(login)
	if err != nil { // Validate has parsed it before
		return login
	}
	asked := r.RequestURI               // what the browser sent, whatever prefix a mux has stripped from r.URL
	if !strings.HasPrefix(asked, "/") { // made by hand, or in the absolute form of proxies
		asked = r.URL.RequestURI()
	}
	q := u.Query()
	q.Set("return_to", ReturnTo(asked))
	u.RawQuery = q.Encode()
	return u.String()
}

func checkLoginURL(login string) error {
	if login == "" {
		return nil
	}
	u, err := url.Parse(login)
	if err != nil {
		return errors.New("not a URL")
	}
	if u.Scheme != "" && u.Scheme != "https" && u.Scheme != "http" || u.Scheme == "" && !strings.HasPrefix(login, "/") {
		return errors.New("neither a path nor an http URL")
	}
	return nil
}

// ReturnTo returns target if it is a path on this origin, with or without a
// query, and "/" otherwise: what may be put into a Location header although a
// client has sent it. Whatever a browser, or a server that decodes it once
// more, could read as another origin is refused.
func ReturnTo(target string) string {
	if len(target) > maxReturnTo || !isLocal(target) {
		return "/"
	}
	if decoded, err := url.PathUnescape(target); err != nil || !isLocal(decoded) {
		return "/"
	}
	return target
}

const maxReturnTo = 2048

func isLocal(target string) bool {
	if !strings.HasPrefix(target, "/") || strings.HasPrefix(target, "//") {
		return false
	}
	for i := range len(target) {
		// Browsers take a backslash for a slash and drop tabs and newlines.
		if c := target[i]; c <= ' ' || c == '\\' || c == 0x7f {
			return false
		}
	}
	u, err := url.Parse(target)
	return err == nil && u.Scheme == "" && u.Host == "" && u.User == nil
}

// seconds is a duration in whole seconds, at least zero.
func seconds(d time.Duration) int { return max(0, int(d/time.Second)) }
