package login

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/oauth2"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/refresh"
)

// Start returns the handler that sends the browser to the provider. After the
// sign-in the browser comes to the path in the request's parameter return_to,
// or to "/" if that is not a path on this origin. No other parameter of the
// request counts, but those that StartParams lists.
//
// The browser has to begin at the host of RedirectURL. A request that comes to
// another name of this machine, or to another host of the same domain, is
// redirected there first, once, unless Auth.Cookies.Domain has both hosts.
func (f *Flow) Start() http.Handler {
	f.mustBeValid()
	return allowOnly(http.MethodGet, func(w http.ResponseWriter, r *http.Request) {
		private(w.Header())
		if to, ok := f.startElsewhere(r); ok {
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusFound)
			return
		}
		returnTo := middleware.ReturnTo(r.URL.Query().Get("return_to"))
		a := f.newAttempt(returnTo)
		a.Origin = f.startedAt(r)
		to, err := f.authRequest(r, &a)
		if err != nil {
			f.fail(w, r, &Failure{Status: statusOfStart(err), Again: f.again(returnTo), Err: err})
			return
		}
		f.remember(w, r, a)
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusFound)
	})
}

// authRequest returns the URL of the authorization request of an attempt (RFC
// 6749, section 4.1.1; OpenID Connect Core 1.0, section 3.1.2.1), and puts into
// the attempt what it demands.
func (f *Flow) authRequest(r *http.Request, a *attempt) (string, error) {
	ctx, cancel := context.WithTimeout(r.Context(), f.timeout())
	defer cancel()
	u, push, err := f.authURL(ctx)
	if err != nil {
		return "", err
	}
	q, asked, err := f.authParams(r, u)
	if err != nil {
		return "", err
	}
	a.asked = asked
	if slices.Contains(f.scopes, scopeOffline) && !q.Has("prompt") {
		// Without it a provider must ignore the scope: OpenID Connect Core 1.0,
		// section 11. Where only administrators may consent, it would fail for
		// all others, so another prompt is left alone.
		q.Set("prompt", "consent")
	}
	f.setOwn(q, a)
	if push {
		uri, _, err := f.Client.Push(ctx, q)
		if err != nil {
			return "", fmt.Errorf("login: %w", err)
		}
		q = u.Query() // belongs to the endpoint
		q.Set("client_id", f.Client.ClientID)
		q.Set("request_uri", uri)
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// setOwn sets the reserved parameters.
func (f *Flow) setOwn(q url.Values, a *attempt) {
	q.Set("response_type", "code")
	q.Set("client_id", f.Client.ClientID)
	q.Set("redirect_uri", f.RedirectURL)
	q.Set("state", a.State)
	if len(f.scopes) > 0 {
		q.Set("scope", strings.Join(f.scopes, " "))
	}
	if f.ResponseMode != "" {
		q.Set("response_mode", f.ResponseMode)
	}
	if a.Nonce != "" {
		q.Set("nonce", a.Nonce)
	}
	if a.Verifier != "" {
		q.Set("code_challenge", oauth2.S256ChallengeFromVerifier(a.Verifier))
		q.Set("code_challenge_method", "S256")
	}
}

// statusOfStart returns the status of a sign-in that cannot begin because of
// err.
func statusOfStart(err error) int {
	var refused *refresh.ProviderError
	switch {
	case errors.Is(err, errAsked):
		return http.StatusBadRequest
	case errors.Is(err, errParams):
		return http.StatusInternalServerError
	case errors.As(err, &refused) && refused.Status < 500 && refused.Status != http.StatusTooManyRequests:
		return http.StatusBadGateway
	}
	return http.StatusServiceUnavailable
}

// private keeps a response out of caches. It also keeps the URL of the request,
// which may hold a code, out of the Referer of later requests.
func private(h http.Header) {
	h.Set("Cache-Control", "private, no-store")
	h.Set("Referrer-Policy", "no-referrer")
}

func allowOnly(method string, h http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != method {
			w.Header().Set("Allow", method)
			middleware.WriteError(w, r, &middleware.Refusal{Status: http.StatusMethodNotAllowed})
			return
		}
		h(w, r)
	})
}
