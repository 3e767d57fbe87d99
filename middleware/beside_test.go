package middleware_test

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
)

// A refresh beside a handler runs in a goroutine of its own, where a panic would
// end the program, not the request. One of Observe costs nothing at all.
func TestAPanicBesideTheHandlerEndsNoProgram(t *testing.T) {
	tests := map[string]struct {
		set     func(w *world)
		cookies int
	}{
		"of Observe": {func(w *world) {
			w.Observe = func(context.Context, middleware.Event) { panic("test") }
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

// counted counts the questions to a store.
type counted struct {
	refresh.MemoryStore
	gets atomic.Int64
}

func (s *counted) Get(ctx context.Context, key string) ([]byte, error) {
	s.gets.Add(1)
	return s.MemoryStore.Get(ctx, key)
}

// A response whose header is out can tell the browser nothing more, and has
// nothing to ask the store any more, however long its body takes.
func TestAStreamAsksTheStoreNothingOnceItHasBegun(t *testing.T) {
	for name, age := range map[string]time.Duration{"refreshed before": life, "refreshed beside": life - 2*time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := new(counted)
				c := &refresh.Coordinator{Store: store}
				w := newWorld(func(a *middleware.Auth) { a.Refresher = c })
				c.Refresher = w.provider
				b := w.signIn(t, "ann")
				<-time.After(age)
				res := b.do(w.Require(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					fmt.Fprint(w, "begin")
					synctest.Wait()
					asked := store.gets.Load()
					<-time.After(time.Hour)
					if n := store.gets.Load() - asked; n > 0 {
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
