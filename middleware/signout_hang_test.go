package middleware_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
)

// The provider hears of a sign-out also while the store of the revocations takes
// all the time that there is.
func TestASignOutReachesTheProviderPastAStoreThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(faultyStore)
		w := newWorld(func(a *middleware.Auth) { a.Revocations = &middleware.Revocations{Store: store} })
		b := w.signIn(t, "ann")
		store.delay.Store(-1)
		begin := time.Now()
		wantStatus(t, b.do(w.Logout(nil), "POST", "/"), 204)
		if took := time.Since(begin); took > 3*time.Second {
			t.Errorf("the sign-out took %v", took)
		}
		if len(w.provider.revoked) != 1 {
			t.Errorf("%d tokens were revoked at the provider, want 1", len(w.provider.revoked))
		}
		if n := w.saw(middleware.SignedOut); n != 1 || w.events[len(w.events)-1].Err == nil {
			t.Errorf("told %+v, want that the store was not reached", w.events)
		}
		closeWorld(t, w)
	})
}
