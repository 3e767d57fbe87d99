package middleware

import (
	"errors"
	"io"
	"net/http"

	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh/event"
)

// Require passes requests with a good access token to next and refuses all
// others. The handler next gets the token from [FromContext].
//
// A login in cookies whose access token has expired is refreshed first. Then
// next gets the request as if it had come with the new tokens. The new cookies
// are set when next writes its header. Require panics if [Auth.Validate]
// returns an error.
func (a *Auth) Require(next http.Handler) http.Handler {
	return a.handler(next, enforce, nil)
}

// Optional is Require that also passes requests without a login, and requests
// whose login has ended or cannot be verified now. [FromContext] has no token
// for them. Optional still refuses a bearer token that is not good, a malformed
// Authorization header, and a request from another origin that could change
// something with the login in its cookies.
func (a *Auth) Optional(next http.Handler) http.Handler {
	return a.handler(next, optional, nil)
}

// RequireScope is Require for handlers that need all of the given scopes. A
// request whose token lacks one is answered with 403 (RFC 6750 section 3.1).
// RequireScope panics if no scope is given.
func (a *Auth) RequireScope(scopes ...string) func(next http.Handler) http.Handler {
	if len(scopes) == 0 {
		panic(errors.New("middleware: RequireScope without a scope"))
	}
	return func(next http.Handler) http.Handler {
		return a.handler(next, enforce, func(t *verify.Token) error { return a.needScopes(t, scopes) })
	}
}

// RequireGroup is Require for handlers whose users must be members of all of
// the given groups. The groups of a user are those of
// [verify.Issuer.GroupsClaim]. A request whose token lacks one is answered with
// 403. RequireGroup panics if no group is given.
func (a *Auth) RequireGroup(groups ...string) func(next http.Handler) http.Handler {
	if len(groups) == 0 {
		panic(errors.New("middleware: RequireGroup without a group"))
	}
	return func(next http.Handler) http.Handler {
		return a.handler(next, enforce, func(t *verify.Token) error { return a.needGroups(t, groups) })
	}
}

// KeepAlive keeps logins alive for a handler that authenticates requests by
// itself: another JWT middleware, or a reverse proxy to a server that verifies
// tokens. It refuses nothing and puts no token into the context.
//
// The tokens are refreshed before the handler if the marker is absent or the
// expiry in it has passed. They are refreshed after the handler if it has
// answered 401, under the conditions of Replay. With ForwardToken the handler
// finds the access token of the cookies in the Authorization header. With
// Revocations the handler gets no cookies and no token of a revoked login.
//
// A request from another origin that could change something passes unchanged:
// its login is not refreshed, its token is not forwarded, and it is not
// replayed. The handler decides whether the cookies of such a request count.
func (a *Auth) KeepAlive(next http.Handler) http.Handler {
	return a.handler(next, passive, nil)
}

// handler returns the handler that authenticates requests for next. A need is
// what next requires of a token beside that it is good; nil: nothing.
func (a *Auth) handler(next http.Handler, m mode, need func(*verify.Token) error) http.Handler {
	a.mustBeValid()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d := &decision{Context: r.Context()}
		err := a.decide(r, d, m)
		if err == nil && need != nil {
			err = need(d.token)
		}
		if err == nil && d.token != nil && !d.passive {
			a.observeToken(event.Verified, d)
		}
		// The response has to set cookies, or may be replaced.
		intercept := d.renewal != nil || d.background != nil || d.clearCookies || a.mayReplay(r, d) || a.mayRedirect(r, d)
		switch {
		case err != nil && intercept:
			a.serve(w, r, d, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.refuse(w, r, err) }))
		case err != nil:
			a.refuse(w, r, err)
		case intercept:
			a.serve(w, r, d, next)
		default:
			next.ServeHTTP(w, a.forward(r, d, nil))
		}
	})
}

// Check decides as Require does, without a handler. It returns the request that
// a handler is to get, or a [*Refusal] to answer with. It sets or clears
// cookies on w at once, so w must not have been written to.
func (a *Auth) Check(w http.ResponseWriter, r *http.Request) (*http.Request, error) {
	if err := a.Validate(); err != nil {
		return nil, err
	}
	d := &decision{Context: r.Context()}
	err := a.decide(r, d, enforce)
	a.writeCookies(w, r, d)
	if err != nil {
		a.observeRefusal(d.Context, err)
		return nil, err
	}
	a.observeToken(event.Verified, d)
	return a.forward(r, d, nil), nil
}

// forward returns the request for the handler. Its context has the token. If
// the login has been refreshed, its cookies and its Authorization header have
// the new tokens. A body replaces r's.
func (a *Auth) forward(r *http.Request, d *decision, body io.ReadCloser) *http.Request {
	switch {
	case d.token != nil && !d.passive:
		r = r.WithContext(d)
	case d.renewal != nil || body != nil || d.revoked || d.passive && a.ForwardToken:
		r = r.WithContext(d.Context) // a copy
	default:
		return r
	}
	if body != nil {
		r.Body = body
	}
	token := d.forwardRaw
	if d.token != nil {
		token = d.token.Raw
	}
	forward := a.ForwardToken && !d.bearer && token != ""
	if d.renewal == nil && !d.revoked && !forward {
		return r
	}
	r.Header = r.Header.Clone()
	switch {
	case d.renewal != nil:
		// The response sets the same cookies, and tells of an error.
		_ = a.policy.Replace(r.Header, d.renewal.Tokens)
	case d.revoked:
		a.policy.Strip(r.Header)
	}
	if forward {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r
}
