package middleware_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
)

// A Verifier may not learn when a token ends, as one that asks the provider
// about tokens which are no JWTs.
func TestATokenThatDoesNotTellItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(func(a *middleware.Auth) {
			a.Revocations = &middleware.Revocations{Store: new(refresh.MemoryStore)}
		})
		w.Verifier = middleware.VerifierFunc(func(ctx context.Context, raw string) (*verify.Token, error) {
			token, err := w.checker.Verify(ctx, raw)
			if token != nil {
				token.Expiry = time.Time{}
			}
			return token, err
		})
		var last *verify.Token
		h := w.Require(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			last, _ = middleware.FromContext(r.Context())
			if r.URL.Path == "/refusing" {
				rw.WriteHeader(http.StatusUnauthorized)
			}
		}))
		b := w.signIn(t, "ann")
		for range 5 {
			res := b.do(h, "GET", "/")
			wantStatus(t, res, http.StatusOK)
			wantCookies(t, res, 0)
		}
		wantStatus(t, b.do(h, "GET", "/refusing"), http.StatusUnauthorized)
		w.provider.expect(t, 0, 0) // it is neither due nor old

		<-time.After(life)
		wantStatus(t, b.do(h, "GET", "/"), http.StatusOK)
		w.provider.expect(t, 1, 0) // the Verifier has said so

		if err := w.Revocations.RevokeToken(t.Context(), last); err != nil {
			t.Fatal(err)
		}
		wantStatus(t, serve(h, bearer(last.Raw)), http.StatusUnauthorized)
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
}
