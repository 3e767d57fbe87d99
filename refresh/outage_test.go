package refresh_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
)

// Replicas that go on without each other present one refresh token twice. So none
// does for a store that is back in a moment.
func TestPromise01AStoreThatIsAwayForAMomentIsWaitedFor(t *testing.T) {
	outages := map[string]func(s *flaky, on bool){
		"it answers with errors": func(s *flaky, on bool) { s.down.Store(on) },
		"it is silent": func(s *flaky, on bool) {
			s.delay.Store(0)
			if on {
				s.delay.Store(int64(time.Hour))
			}
		},
	}
	for name, set := range outages {
		for _, away := range []time.Duration{time.Millisecond, time.Second, 1900 * time.Millisecond} {
			t.Run(fmt.Sprintf("%s for %v", name, away), func(t *testing.T) {
				p := &strict{delay: 30 * time.Millisecond}
				replicated(t, 3, p, func(t *testing.T, store *flaky, replicas []*refresh.Coordinator) {
					set(store, true)
					begin := time.Now()
					var wg sync.WaitGroup
					for _, c := range replicas {
						wg.Go(func() { mustRefresh(t, c, start("u"), generation("u", 1)) })
					}
					<-time.After(away)
					set(store, false)
					wg.Wait()
					if took := time.Since(begin); took > away+1500*time.Millisecond {
						t.Errorf("it took %v", took)
					}
					p.expect(t, 1, 0)
				})
			})
		}
	}
}

// A store that stays away is waited for once, not by every caller.
func TestAStoreThatStaysAwayHoldsNobodyUp(t *testing.T) {
	p := new(strict)
	replicated(t, 1, p, func(t *testing.T, store *flaky, replicas []*refresh.Coordinator) {
		store.down.Store(true)
		for i, most := range []time.Duration{refresh.DefaultTimeout/2 + 250*time.Millisecond, 0, 0} {
			begin := time.Now()
			user := fmt.Sprint("u", i)
			mustRefresh(t, replicas[0], start(user), generation(user, 1))
			if took := time.Since(begin); took > most {
				t.Errorf("caller %d waited for %v, want %v at most", i, took, most)
			}
		}
		store.down.Store(false)
		<-time.After(time.Second)
		mustRefresh(t, replicas[0], start("w"), generation("w", 1))
		store.down.Store(true)
		for _, later := range []time.Duration{0, time.Hour} { // another, and one whose end nobody saw
			<-time.After(later)
			store.ops.Store(0)
			user := fmt.Sprint("x", later)
			mustRefresh(t, replicas[0], start(user), generation(user, 1))
			if n := store.ops.Load(); n < 5 || n > 50 {
				t.Errorf("after %v it was tried %d times", later, n)
			}
		}
		store.down.Store(false)
	})
}

// lostWrites is a Store whose answer to a write is lost: it is done, and fails.
type lostWrites struct {
	refresh.MemoryStore
	lose atomic.Int64 // so many
}

func (s *lostWrites) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	ok, err := s.MemoryStore.Swap(ctx, key, old, new, ttl)
	if s.lose.Add(-1) >= 0 {
		return false, errDown
	}
	return ok, err
}

// Nobody waits for a claim of its own.
func TestAClaimWhoseWriteSeemedToFailIsOurs(t *testing.T) {
	for lost := range int64(5) {
		t.Run(fmt.Sprint(lost), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, store := new(strict), new(lostWrites)
				store.lose.Store(lost)
				replicas := []*refresh.Coordinator{{Refresher: p, Store: store}, {Refresher: p, Store: store}}
				begin := time.Now()
				for _, c := range replicas {
					mustRefresh(t, c, start("u"), generation("u", 1))
				}
				if took := time.Since(begin); took > time.Second {
					t.Errorf("it took %v", took)
				}
				p.expect(t, 1, 0)
				for _, c := range replicas {
					if err := c.Close(); err != nil {
						t.Error(err)
					}
				}
			})
		})
	}
}

// A provider that refuses a token that has been used, and leaves its successor
// alone, refuses one of two replicas that had no store. The other's tokens are
// good, and the store that is back has them.
func TestPromise02ARefusalWithoutAStoreIsLookedInto(t *testing.T) {
	var calls atomic.Int64
	p := refresh.Func(func(_ context.Context, old refresh.Tokens) (refresh.Tokens, error) {
		if calls.Add(1) == 1 {
			return generation("u", 1), nil
		}
		<-time.After(time.Second)
		return refresh.Tokens{}, fmt.Errorf("%w: it has been used", refresh.ErrDenied)
	})
	replicated(t, 2, p, func(t *testing.T, store *flaky, replicas []*refresh.Coordinator) {
		store.down.Store(true)
		var wg sync.WaitGroup
		for _, c := range replicas {
			wg.Go(func() { mustRefresh(t, c, start("u"), generation("u", 1)) })
		}
		<-time.After(3 * time.Second)
		store.down.Store(false)
		wg.Wait()
		if n := calls.Load(); n != 2 {
			t.Errorf("%d calls, want both replicas to have gone on alone", n)
		}
		// A refusal that nobody's success explains is one.
		if _, err := replicas[0].Refresh(t.Context(), start("v")); !errors.Is(err, refresh.ErrDenied) {
			t.Errorf("got %v, want the provider's refusal", err)
		}
	})
}
