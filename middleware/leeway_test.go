package middleware_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// While a provider hangs, a token in its leeway is as good as one before its end:
// not every request that has it waits for what does not come.
func TestLeewayIsNotSpentWaitingForAProviderThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.checker.leeway = 30 * time.Second
		b := w.signIn(t, "ann")
		<-time.After(life + time.Second)
		w.provider.set(func(p *provider) { p.delay = time.Hour })
		var waited []time.Duration
		for range 10 {
			begin := time.Now()
			res := b.do(w.Require(whoami), "GET", "/")
			wantStatus(t, res, http.StatusOK)
			waited = append(waited, time.Since(begin))
			<-time.After(400 * time.Millisecond)
		}
		for i, d := range waited {
			if (d == 0) != (i > 0) {
				t.Fatalf("they waited for %v: want the first alone to wait", waited)
			}
		}
		closeWorld(t, w)
	})
}
