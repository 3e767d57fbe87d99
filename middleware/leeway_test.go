package middleware_test

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/refresh"
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

// While a provider hangs, one request at a time finds out whether it is back: those
// beside it, whose tokens are due and good, do not wait.
func TestOneRequestFindsOutWhetherAProviderThatHangsIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(func(a *middleware.Auth) { a.Ahead = life / 4 })
		w.checker.leeway = life // some rounds are before their end, and some in that
		users := make([]*browser, 10)
		for i := range users {
			users[i] = w.signIn(t, fmt.Sprint("user-", i))
		}
		waiting := func() (waited int) {
			t.Helper()
			var n atomic.Int64
			var wg sync.WaitGroup
			for _, b := range users {
				wg.Go(func() {
					begin := time.Now()
					res := b.do(w.Require(whoami), "GET", "/")
					if res.StatusCode != http.StatusOK {
						t.Errorf("answered %d", res.StatusCode)
					}
					if time.Since(begin) > time.Second {
						n.Add(1)
					}
				})
			}
			wg.Wait()
			return int(n.Load())
		}
		<-time.After(life - life/4 + time.Second)
		w.provider.set(func(p *provider) { p.delay = 10 * time.Minute })
		if n := waiting(); n != len(users) {
			t.Fatalf("%d of the first %d wait: this test shows nothing", n, len(users))
		}
		for range 3 {
			<-time.After(earlyPause + time.Millisecond)
			if n := waiting(); n != 1 {
				t.Errorf("%d wait, want 1", n)
			}
		}
		w.provider.set(func(p *provider) { p.delay = 50 * time.Millisecond })
		<-time.After(2 * refresh.DefaultTimeout) // so long calls last
		old := make(map[*browser]string)
		for _, b := range users {
			old[b] = b.get("__Host-accessToken")
		}
		waiting() // one finds out
		waiting()
		for _, b := range users {
			if b.get("__Host-accessToken") == old[b] {
				t.Error("a login that is due is not renewed, though the provider is back")
			}
		}
		closeWorld(t, w)
	})
}

const earlyPause = 5 * time.Second
