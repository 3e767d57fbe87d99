package middleware_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// Another replica may have ended a login of which this one remembers what its
// browser never got. The handles of that stand for nothing any more: it is not
// the Keeper that is out of reach.
func TestALoginEndedElsewhereIsOverForWhoComesWithOldHandles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, k := newKeptWorld()
		b := w.signIn(t, "ann")
		h := w.Require(whoami)
		<-time.After(life)
		wantStatus(t, serve(h, b.request("GET", "/")), http.StatusOK) // the answer is lost

		k.set(func() { clear(k.kept) })
		res := b.do(h, "GET", "/")
		wantStatus(t, res, http.StatusUnauthorized)
		if b.get("__Host-refreshToken") != "" {
			t.Error("the dead handles stay in the browser")
		}
		w.provider.expect(t, 1, 0)
	})
}
