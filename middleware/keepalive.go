package middleware

import (
	"errors"
	"net/http"
	"time"

	"github.com/tokenlife/tokenlife/middleware/internal/revocation"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
)

// Renew keeps the login alive for a handler that authenticates requests by
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
func (a *Auth) Renew(next http.Handler) http.Handler {
	a.mustBeValid()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := &visit{Context: r.Context(), aside: true}
		v.dead = isDead(a.keepAlive(r, v))
		a.serve(w, r, v, next)
	})
}

// keepAlive exchanges the tokens in r's cookies where the marker asks for it.
func (a *Auth) keepAlive(r *http.Request, v *visit) error {
	if raw, err := bearerToken(r.Header); raw != "" || err != nil {
		v.bearer = true
		return nil
	}
	old, _ := a.policy.Read(r)
	revoked := a.lookAside(v, old)
	v.barred = revoked != nil
	// A token in the header would tell the handler that the client put it there.
	v.foreign = a.sameOrigin(r) != nil
	if a.ForwardToken && !v.barred && !v.foreign {
		// Without it the handler has to refuse, which is its own to do.
		v.raw, _ = a.resolve(r.Context(), old.Access)
	}
	if errors.Is(revoked, revocation.ErrLogin) {
		return revoked
	}
	if a.coordinator == nil || old.Refresh == "" || v.foreign {
		return nil
	}
	a.coordinator.Presented(old.Access)
	if expiry, ok := a.policy.Marker(r); ok && !v.barred && (expiry.IsZero() || time.Now().Before(expiry)) {
		return nil // signed out, or not yet time
	}
	was, err := a.whose(v, old)
	if err != nil {
		return nil // a later request will know
	}
	return a.renew(v, old, was, "marker")
}

// whose returns the token that old holds, or nil if it says nothing of its
// subject. The error tells that this could not be found out now, where it
// matters for Revocations: without its old token a login may look revoked.
func (a *Auth) whose(v *visit, old refresh.Tokens) (*verify.Token, error) {
	if old.Access == "" {
		return nil, nil
	}
	t, err := a.tokenOf(v.Context, old.Access)
	switch {
	case err == nil, errors.Is(err, verify.ErrExpired):
		return t, nil
	case a.Revocations != nil && !decided(err):
		return nil, err
	}
	return nil, nil
}
