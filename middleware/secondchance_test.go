package middleware_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
)

// One answer that cannot be used, at a provider's bad moment, is not the end of
// the login for as long as the answer is remembered.
func TestATokenThatCannotBeUsedHasASecondChance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var opaque atomic.Bool
		w := newWorld()
		w.Refresher = refresh.Func(func(ctx context.Context, old refresh.Tokens) (refresh.Tokens, error) {
			next, err := w.provider.Refresh(ctx, old)
			if opaque.Load() {
				next.Access = "opaque" + next.Refresh
			}
			return next, err
		})
		h := w.Require(whoami)
		ann, bob := w.signIn(t, "ann"), w.signIn(t, "bob")
		opaque.Store(true)
		<-time.After(life)
		for _, b := range []*browser{ann, bob} {
			res := b.do(h, "GET", "/")
			wantStatus(t, res, 503)
			wantCookies(t, res, 0)
		}
		w.provider.expect(t, 2, 0)
		for range 100 { // a key that is too new to be known looks the same
			wantStatus(t, ann.do(h, "GET", "/"), 503)
			wantStatus(t, bob.do(h, "GET", "/"), 503)
		}
		w.provider.expect(t, 3, 0)

		opaque.Store(false)
		for _, b := range []*browser{ann, bob} {
			<-time.After(time.Second)
			res := b.do(h, "GET", "/")
			wantStatus(t, res, 200)
			wantCookies(t, res, 3)
		}
		w.provider.expect(t, 5, 0)
		closeWorld(t, w)
	})
}
