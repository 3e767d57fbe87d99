package middleware_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/verify"
)

// Where this machine's clock is so far ahead that each new token is due already,
// requests go on with what they have, and do not all ask the provider.
func TestClocksThatAreFarApartAreNoStorm(t *testing.T) {
	const ahead = life - 10*time.Second
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.Verifier = middleware.VerifierFunc(func(ctx context.Context, raw string) (*verify.Token, error) {
			token, err := w.checker.Verify(ctx, raw)
			if token != nil {
				token.IssuedAt, token.Expiry = token.IssuedAt.Add(-ahead), token.Expiry.Add(-ahead)
			}
			return token, err
		})
		h := w.Require(slowly)
		b := w.signIn(t, "ann")
		for range 100 { // a second each
			wantStatus(t, b.do(h, "GET", "/"), 200)
		}
		w.provider.set(func(p *provider) {
			if p.calls > 35 || p.reuse > 0 {
				t.Errorf("the provider was called %d times in 100 s, and saw %d reuses", p.calls, p.reuse)
			}
		})
		closeWorld(t, w)
	})
}
