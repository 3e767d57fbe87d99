package middleware

import (
	"errors"
	"io"
	"net/http"

	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh/event"
)

// Require lets requests with a good access token pass to next, which finds it
// with [FromContext], and refuses all others.
//
// A login in cookies whose access token has ended is refreshed first, and next
// sees a request as if it had come with the new tokens. The new cookies are
// added when next writes its header. Require panics if a is not valid, as
// [Auth.Validate] tells.
func (a *Auth) Require(next http.Handler) http.Handler {
	return a.handler(next, enforce, nil)
}

// Optional lets requests without a login pass as well; [FromContext] tells the
// one from the other. A login is kept alive as by Require. Refused are only
// requests that claim something false: a bearer token that is not good, a
// malformed header, a cross-origin request on cookies.
func (a *Auth) Optional(next http.Handler) http.Handler {
	return a.handler(next, optional, nil)
}

// RequireScope is Require for handlers that need all of the given scopes (RFC
// 6750 section 3.1): it answers 403 where one is missing. It panics if no scope
// is given.
func (a *Auth) RequireScope(scopes ...string) func(next http.Handler) http.Handler {
	if len(scopes) == 0 {
		panic(errors.New("middleware: RequireScope without a scope"))
	}
	return func(next http.Handler) http.Handler {
		return a.handler(next, enforce, func(t *verify.Token) error { return a.needScopes(t, scopes) })
	}
}

// RequireGroup is Require for handlers whose users must be members of all of the
// given groups, as [verify.Issuer.GroupsClaim] tells them: it answers 403 where
// one is missing. It panics if no group is given.
func (a *Auth) RequireGroup(groups ...string) func(next http.Handler) http.Handler {
	if len(groups) == 0 {
		panic(errors.New("middleware: RequireGroup without a group"))
	}
	return func(next http.Handler) http.Handler {
		return a.handler(next, enforce, func(t *verify.Token) error { return a.needGroups(t, groups) })
	}
}

// KeepAlive keeps the login alive for a handler that authenticates requests by
// itself: another JWT middleware, or a reverse proxy before a server that does.
// It refuses nothing and puts no token into the context. It exchanges the tokens
// before the handler when the marker has gone or its time has passed, and after
// it on a 401, under the conditions of Replay. With ForwardToken the handler
// finds the cookie's access token in the Authorization header. With Revocations,
// it gets no cookies and no token of a login that has been revoked.
//
// A request that another origin makes a browser send, and that could change
// something, goes on as it came: nothing is refreshed, forwarded or run again for
// it. Whether its cookies count is the handler's to decide.
func (a *Auth) KeepAlive(next http.Handler) http.Handler {
	return a.handler(next, passive, nil)
}

// handler is the way of a request through a: the decision, what the handler needs
// besides, and what the browser has to learn.
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
		learns := d.renewal != nil || d.background != nil || d.clearCookies || a.mayReplay(r, d)
		switch {
		case err != nil && learns:
			a.serve(w, r, d, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.refuse(w, r, err) }))
		case err != nil:
			a.refuse(w, r, err)
		case learns:
			a.serve(w, r, d, next)
		default:
			next.ServeHTTP(w, a.forward(r, d, nil))
		}
	})
}

// Check decides as Require does, without a handler: it returns the request to
// go on with, or a [*Refusal] to answer with. Cookies, renewed or cleared, are
// set on w at once, so nothing may have been written yet.
func (a *Auth) Check(w http.ResponseWriter, r *http.Request) (*http.Request, error) {
	if err := a.Validate(); err != nil {
		return nil, err
	}
	d := &decision{Context: r.Context()}
	err := a.decide(r, d, enforce)
	a.writeCookies(w, r, d) // there is no later moment
	if err != nil {
		a.observeRefusal(d.Context, err)
		return nil, err
	}
	a.observeToken(event.Verified, d)
	return a.forward(r, d, nil), nil
}

// forward returns the request as the next handler sees it: the token in its
// context and, where the login has been refreshed, the new tokens wherever the
// old ones were. A body replaces r's.
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
		// The same tokens are encoded for the response.
		_ = a.policy.Replace(r.Header, d.renewal.Tokens)
	case d.revoked:
		a.policy.Strip(r.Header)
	}
	if forward {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r
}
