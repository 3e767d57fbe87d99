package sessions_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
	"github.com/tokenlife/tokenlife/refresh/sessions"
)

// ops returns a function that returns what the store has been asked since its last
// call.
func ops(w *world) func() string {
	gets, swaps := w.store.Count()
	return func() string {
		synctest.Wait()
		beforeGets, beforeSwaps := gets, swaps
		gets, swaps = w.store.Count()
		return fmt.Sprintf("%d gets, %d swaps", gets-beforeGets, swaps-beforeSwaps)
	}
}

func TestWhatARefreshAsksOfItsStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.provider.delay = time.Second
		s, other := w.replica(), w.replica()
		tok := w.start(s, alice)
		time.Sleep(time.Minute)
		asked := ops(w)
		check := func(what, want string) {
			t.Helper()
			if got := asked(); got != want {
				t.Errorf("%s: %s, want %s", what, got, want)
			}
		}
		next := w.refresh(s, tok)
		check("a refresh", "1 gets, 2 swaps")
		if err := s.Arrived(t.Context(), next.Access); err != nil {
			t.Error(err)
		}
		check("the arrival where it was refreshed", "0 gets, 1 swaps")
		w.refresh(s, tok)
		check("the old handle", "1 gets, 0 swaps")
		time.Sleep(time.Minute)
		next = w.refresh(s, next)
		asked()
		if err := other.Arrived(t.Context(), next.Access); err != nil {
			t.Error(err)
		}
		check("the arrival elsewhere", "1 gets, 1 swaps")
		time.Sleep(time.Minute)
		w.access(s, next)
		asked()
		next = w.refresh(s, next)
		check("a refresh of what has been read", "0 gets, 2 swaps")
		w.provider.delay = 2 * time.Second
		time.Sleep(time.Minute)
		w.refresh(s, next)
		check("a refresh that takes longer", "1 gets, 3 swaps")
		for _, unknown := range []string{strings.Repeat("A", 68) + "A", "handle"} {
			if _, err := s.Refresh(t.Context(), refresh.Tokens{Refresh: unknown}); !errors.Is(err, refresh.ErrDenied) {
				t.Errorf("a handle that is none: %v", err)
			}
			_ = s.Revoke(t.Context(), refresh.Tokens{Refresh: unknown})
			_ = s.Arrived(t.Context(), unknown)
		}
		if got := asked(); !strings.HasSuffix(got, " 0 swaps") {
			t.Errorf("for handles of no login: %s, want no writes", got)
		}
	})
}

// asked checks how often the provider was asked, and that no refresh token came twice.
func (w *world) asked(want int) {
	w.t.Helper()
	if calls, reuses, _ := w.provider.counts(); calls != want || reuses != 0 {
		w.t.Errorf("the provider saw %d calls and %d reuses, want %d and none", calls, reuses, want)
	}
}

func TestTheProviderIsNotAskedWithoutAClaim(t *testing.T) {
	for _, happened := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			s := w.replica()
			tok := w.start(s, alice)
			w.store.Intercept(func(_ context.Context, c refreshtest.StoreCall, do func() (bool, error)) error {
				if c.Swap {
					w.store.SetDown(true)
				}
				if c.Swap && !happened {
					return refreshtest.ErrStoreDown
				}
				_, err := do()
				return err
			})
			time.Sleep(time.Minute) // nothing is known of the login without the store
			if _, err := s.Refresh(t.Context(), tok); !errors.Is(err, refreshtest.ErrStoreDown) || errors.Is(err, refresh.ErrDenied) {
				t.Errorf("error is %v, want the store's", err)
			}
			w.asked(0)
			w.store.Intercept(nil)
			w.store.SetDown(false)
			begin, other := time.Now(), w.replica()
			for _, err := other.Refresh(t.Context(), tok); err != nil; _, err = other.Refresh(t.Context(), tok) {
				if took := time.Since(begin); took > 5*time.Second {
					t.Fatalf("a claim that nobody knows of stood for %v: %v", took, err)
				}
			}
			w.asked(1)
		})
	}
}

func TestAClaimIsKeptWhileItsCallRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.provider.delay = 9 * time.Second
		s, other := w.replica(), w.replica()
		tok := w.start(s, alice)
		var wg sync.WaitGroup
		for i, r := range []*sessions.Sessions{s, other, s, other} {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 2 * time.Second)
				_, _ = r.Refresh(t.Context(), tok)
			})
		}
		wg.Wait()
		w.refresh(other, tok)
		w.asked(1)
	})
}

// A slowAnswer is a provider whose answers are under way for a time.
type slowAnswer struct {
	*provider
	takes time.Duration
}

func (p slowAnswer) Refresh(ctx context.Context, old refresh.Tokens) (refresh.Tokens, error) {
	next, err := p.provider.Refresh(ctx, old)
	<-time.After(p.takes)
	return next, err
}

// The claim of a handle does not hold back a caller with the next one.
func TestARefreshCanFollowAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		tok, begin := w.start(w.replica(), alice), time.Now()
		for range 5 {
			tok = w.refresh(w.replica(), tok)
		}
		if took := time.Since(begin); took != 0 {
			t.Errorf("five refreshes took %v", took)
		}
		w.asked(5)
	})
}
