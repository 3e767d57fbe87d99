package middleware_test

import (
	"fmt"
	"maps"
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

// What another's request is told from memory says nothing of the provider.
func TestARememberedAnswerEndsNoPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.checker.leeway = life
		ann, bob := w.signIn(t, "ann"), w.signIn(t, "bob")
		<-time.After(life + time.Second)
		copied := func() *browser { return &browser{jar: maps.Clone(bob.jar)} }
		wantStatus(t, copied().do(w.Require(whoami), "GET", "/"), http.StatusOK) // and his answer is lost
		w.provider.set(func(p *provider) { p.delay = time.Hour })
		for i := range 4 {
			begin := time.Now()
			wantStatus(t, ann.do(w.Require(whoami), "GET", "/"), http.StatusOK)
			if waited := time.Since(begin); (waited > 0) != (i == 0) {
				t.Errorf("request %d waits for %v: want the first alone to wait", i, waited)
			}
			<-time.After(earlyPause + time.Millisecond) // so he is the one to find out
			wantStatus(t, copied().do(w.Require(whoami), "GET", "/"), http.StatusOK)
		}
		closeWorld(t, w)
	})
}

// One that finds out is given the time that a refresh has.
func TestOneRequestFindsOutHoweverLongThatTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c *refresh.Coordinator
		w := newWorld(func(a *middleware.Auth) {
			c = &refresh.Coordinator{Refresher: a.Refresher, Timeout: 12 * time.Second}
			a.Refresher = c
		})
		w.checker.leeway = life
		var users []*browser
		for _, name := range []string{"ann", "bob", "cora", "dora"} {
			users = append(users, w.signIn(t, name))
		}
		<-time.After(life + time.Second)
		w.provider.set(func(p *provider) { p.delay = time.Hour })
		users[0].do(w.Require(whoami), "GET", "/")
		<-time.After(earlyPause + time.Millisecond)
		var waited atomic.Int64
		var wg sync.WaitGroup
		for i, b := range users[1:] {
			wg.Go(func() {
				<-time.After(time.Duration(i) * (earlyPause + 100*time.Millisecond))
				begin := time.Now()
				b.do(w.Require(whoami), "GET", "/")
				if time.Since(begin) > time.Second {
					waited.Add(1)
				}
			})
		}
		wg.Wait()
		if n := waited.Load(); n != 1 {
			t.Errorf("%d wait for the provider, want 1", n)
		}
		closeWorld(t, w)
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}
