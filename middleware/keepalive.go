package middleware

import (
	"errors"
	"net/http"
	"time"

	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
)

// Renew keeps the login alive for a handler that authenticates requests by
// itself: another JWT middleware, or a reverse proxy before a server that does.
// It refuses nothing and puts no token into the context. It exchanges the tokens
// before the handler when the marker has gone or its time has passed, and after
// it on a 401, under the conditions of Replay. With ForwardToken the handler
// finds the cookie's access token in the Authorization header.
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
	v.raw = old.Access
	if a.coordinator == nil || old.Refresh == "" || a.sameOrigin(r) != nil {
		return nil
	}
	a.coordinator.Presented(old.Access)
	if expiry, ok := a.policy.Life(r); ok && (expiry.IsZero() || time.Now().Before(expiry)) {
		return nil // signed out, or not yet time
	}
	return a.renew(v, old, a.whose(v, old), "marker")
}

// whose returns the token that old holds, as far as its subject is known.
func (a *Auth) whose(v *visit, old refresh.Tokens) *verify.Token {
	if old.Access == "" {
		return nil
	}
	t, err := a.Verifier.Verify(v.Context, old.Access)
	if err != nil && !errors.Is(err, verify.ErrExpired) {
		return nil
	}
	return t
}
