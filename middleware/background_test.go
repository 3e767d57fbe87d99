package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/event"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// While a provider hangs, a token in leeway is as good as one before its
// expiry: one request waits for the provider, and the others pass.
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

// While a provider hangs, one request at a time probes it. Other requests whose
// tokens are due and good do not wait.
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

// A remembered result says nothing of the provider now.
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

// A probe has as much time as a refresh.
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

func TestARefreshAheadOfExpiryRunsBesideTheHandler(t *testing.T) {
	for _, tt := range []struct {
		name              string
		provider, handler time.Duration
		want              time.Duration
	}{
		{"a slow provider", time.Second, 0, time.Second},
		{"a slow handler", 0, 3 * time.Second, 3 * time.Second},
		{"both slow", 2 * time.Second, 3 * time.Second, 3 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				b := w.signIn(t, "ann")
				<-time.After(life - 2*time.Second)
				w.provider.set(func(p *provider) { p.delay = tt.provider })
				begin := time.Now()
				res := b.do(w.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					token, _ := middleware.FromContext(r.Context())
					if time.Since(begin) != 0 || !strings.Contains(token.Raw, "~0~") {
						t.Errorf("the handler began after %v", time.Since(begin))
					}
					<-time.After(tt.handler)
					fmt.Fprint(w, token.Subject)
				})), "GET", "/")
				wantStatus(t, res, 200)
				wantCookies(t, res, 3)
				if took := time.Since(begin); took != tt.want {
					t.Errorf("it took %v, want %v: nobody waits for both in turn", took, tt.want)
				}
				w.provider.expect(t, 1, 0)
				closeWorld(t, w)
			})
		})
	}
}

func TestAProviderThatHangsSlowsOneRequestInAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		b := w.signIn(t, "ann")
		<-time.After(life - 12*time.Second)
		w.provider.set(func(p *provider) { p.delay = time.Hour })
		slow := 0
		for range 8 {
			begin := time.Now()
			wantStatus(t, b.do(w.Require(whoami), "GET", "/"), 200)
			if time.Since(begin) > 0 {
				slow++
			}
			<-time.After(time.Second / 2)
		}
		if slow != 1 {
			t.Errorf("%d of 8 requests with a good token waited for the provider", slow)
		}
		closeWorld(t, w)
	})
}

func TestAClientThatLeavesDuringAnEarlyRefreshLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		b := w.signIn(t, "ann")
		<-time.After(life - 2*time.Second)
		w.provider.set(func(p *provider) { p.delay = time.Second })
		func() {
			defer func() {
				if err, _ := recover().(error); !errors.Is(err, http.ErrAbortHandler) {
					t.Errorf("recovered %v", err)
				}
			}()
			b.do(w.Require(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })), "GET", "/")
		}()
		<-time.After(time.Hour)
		w.provider.set(func(p *provider) { p.delay = 0 })
		wantStatus(t, b.do(w.Require(whoami), "GET", "/"), 200)
		if w.provider.reuse > 0 {
			t.Error("a refresh token was used twice")
		}
		closeWorld(t, w)
	})
}

// A background refresh runs in its own goroutine, where a panic would end the
// program and not the request. A panic of Observe costs nothing.
func TestAPanicBesideTheHandlerEndsNoProgram(t *testing.T) {
	tests := map[string]struct {
		set     func(w *world)
		cookies int
	}{
		"of Observe": {func(w *world) {
			w.Observe = func(context.Context, event.Event) { panic("test") }
		}, 3},
		"of the Verifier": {func(w *world) {
			newest := w.provider.issue("ann", 1).Access[:len("ann~1~")]
			w.Verifier = middleware.VerifierFunc(func(ctx context.Context, raw string) (*verify.Token, error) {
				if raw[:len(newest)] == newest {
					panic("test")
				}
				return w.checker.Verify(ctx, raw)
			})
		}, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				tt.set(w)
				b := w.signIn(t, "ann")
				<-time.After(life - 2*time.Second)
				res := b.do(w.Require(whoami), "GET", "/")
				wantStatus(t, res, http.StatusOK)
				wantCookies(t, res, tt.cookies)
				if err := w.Close(); err != nil {
					t.Error(err)
				}
				w.provider.expect(t, 1, 0) // what it brought is remembered
			})
		})
	}
}

// A response whose header has been written sets no more cookies. So it does not
// read the Store any more, however long its body takes.
func TestAStreamAsksTheStoreNothingOnceItHasBegun(t *testing.T) {
	for name, age := range map[string]time.Duration{"refreshed before": life, "refreshed beside": life - 2*time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := new(refreshtest.FaultyStore)
				c := &refresh.Coordinator{Store: store}
				w := newWorld(func(a *middleware.Auth) { a.Refresher = c })
				c.Refresher = w.provider
				b := w.signIn(t, "ann")
				<-time.After(age)
				res := b.do(w.Require(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					fmt.Fprint(w, "begin")
					synctest.Wait()
					asked := reads(store)
					<-time.After(time.Hour)
					if n := reads(store) - asked; n > 0 {
						t.Errorf("the store was asked %d times in an hour", n)
					}
				})), "GET", "/")
				wantCookies(t, res, 3)
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// If this machine's clock is so far ahead that each new token is due already,
// requests pass with their tokens, and do not all call the provider.
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
