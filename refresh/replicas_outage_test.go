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
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// Replicas that go on without each other present one refresh token twice. So none
// does for a store that is back in a moment.
func TestPromise01AStoreThatIsAwayForAMomentIsWaitedFor(t *testing.T) {
	outages := map[string]func(s *refreshtest.FaultyStore, on bool){
		"it answers with errors": func(s *refreshtest.FaultyStore, on bool) { s.SetDown(on) },
		"it is silent": func(s *refreshtest.FaultyStore, on bool) {
			s.SetDelay(0, 0)
			if on {
				s.SetDelay(time.Hour, 0)
			}
		},
	}
	for name, set := range outages {
		for _, away := range []time.Duration{time.Millisecond, time.Second, 1900 * time.Millisecond} {
			t.Run(fmt.Sprintf("%s for %v", name, away), func(t *testing.T) {
				p := &strict{delay: 30 * time.Millisecond}
				replicated(t, 3, p, func(t *testing.T, store *refreshtest.FaultyStore, replicas []*refresh.Coordinator) {
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

// operations returns how often a store has been called.
func operations(s *refreshtest.FaultyStore) int {
	gets, swaps := s.Count()
	return gets + swaps
}

// A store that stays away is waited for once, not by every caller.
func TestAStoreThatStaysAwayHoldsNobodyUp(t *testing.T) {
	p := new(strict)
	replicated(t, 1, p, func(t *testing.T, store *refreshtest.FaultyStore, replicas []*refresh.Coordinator) {
		store.SetDown(true)
		for i, most := range []time.Duration{refresh.DefaultTimeout/2 + 250*time.Millisecond, 0, 0} {
			begin := time.Now()
			user := fmt.Sprint("u", i)
			mustRefresh(t, replicas[0], start(user), generation(user, 1))
			if took := time.Since(begin); took > most {
				t.Errorf("caller %d waited for %v, want %v at most", i, took, most)
			}
		}
		store.SetDown(false)
		<-time.After(time.Second)
		mustRefresh(t, replicas[0], start("w"), generation("w", 1))
		store.SetDown(true)
		for _, later := range []time.Duration{0, time.Hour} { // another, and one whose end nobody saw
			<-time.After(later)
			before := operations(store)
			user := fmt.Sprint("x", later)
			mustRefresh(t, replicas[0], start(user), generation(user, 1))
			if n := operations(store) - before; n < 5 || n > 50 {
				t.Errorf("after %v it was tried %d times", later, n)
			}
		}
		store.SetDown(false)
	})
}

// Nobody waits for a claim of its own.
func TestAClaimWhoseWriteSeemedToFailIsOurs(t *testing.T) {
	for lost := range 5 {
		t.Run(fmt.Sprint(lost), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, store := new(strict), new(refreshtest.FaultyStore)
				store.LoseAnswers(lost)
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
	replicated(t, 2, p, func(t *testing.T, store *refreshtest.FaultyStore, replicas []*refresh.Coordinator) {
		store.SetDown(true)
		var wg sync.WaitGroup
		for _, c := range replicas {
			wg.Go(func() { mustRefresh(t, c, start("u"), generation("u", 1)) })
		}
		<-time.After(3 * time.Second)
		store.SetDown(false)
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

// What the store could not be told at the sign-out, it is told when it is back.
func TestPromise05ASignOutWhileTheStoreIsAwayReachesTheOthers(t *testing.T) {
	ends := map[string]func(*refresh.Coordinator, context.Context, refresh.Tokens) error{
		"sign-out":       (*refresh.Coordinator).Revoke,
		"another signin": (*refresh.Coordinator).Replace,
	}
	for name, end := range ends {
		for _, away := range []time.Duration{500 * time.Millisecond, 1500 * time.Millisecond, 10 * time.Second} {
			t.Run(fmt.Sprint(name, ", for ", away), func(t *testing.T) {
				p := refresh.Func(new(strict).Refresh) // no Revoker: nobody else refuses
				replicated(t, 2, p, func(t *testing.T, store *refreshtest.FaultyStore, replicas []*refresh.Coordinator) {
					mustRefresh(t, replicas[0], start("u"), generation("u", 1))
					store.SetDown(true)
					begin := time.Now()
					if err := end(replicas[0], t.Context(), generation("u", 1)); err != nil {
						t.Error(err)
					}
					if took := time.Since(begin); took > time.Second {
						t.Errorf("the user waits for %v", took)
					}
					<-time.After(away)
					store.SetDown(false)
					<-time.After(time.Second)
					if _, err := replicas[1].Refresh(t.Context(), generation("u", 1)); !errors.Is(err, refresh.ErrEnded) {
						t.Errorf("the other replica says %v, want that the login was ended", err)
					}
				})
			})
		}
	}
}

// Who signed out while the store was away has not the newest tokens: another
// replica had exchanged them. Those are revoked when that is known.
func TestASignOutWhileTheStoreIsAwayRevokesTheNewest(t *testing.T) {
	p := new(strict)
	replicated(t, 2, p, func(t *testing.T, store *refreshtest.FaultyStore, replicas []*refresh.Coordinator) {
		mustRefresh(t, replicas[0], start("u"), generation("u", 1))
		mustRefresh(t, replicas[1], generation("u", 1), generation("u", 2))
		store.SetDown(true)
		if err := replicas[0].Revoke(t.Context(), generation("u", 1)); err != nil {
			t.Error(err)
		}
		<-time.After(2 * time.Second)
		store.SetDown(false)
		<-time.After(time.Second)
		p.mu.Lock()
		defer p.mu.Unlock()
		if n := len(p.revoked); n != 2 || p.revoked[1] != generation("u", 2).Refresh {
			t.Errorf("revoked: %q", p.revoked)
		}
	})
}

// Of a provider that does not rotate, the result of the exchange before stands under
// the same refresh token. It is no answer to the question that has followed.
func TestWhatHasJustBeenExchangedIsNoSiblingsAnswer(t *testing.T) {
	var n atomic.Int64
	p := refresh.Func(func(context.Context, refresh.Tokens) (refresh.Tokens, error) {
		return refresh.Tokens{Access: fmt.Sprint("a", n.Add(1)), Refresh: "r"}, nil
	})
	replicated(t, 2, p, func(t *testing.T, store *refreshtest.FaultyStore, replicas []*refresh.Coordinator) {
		one, err := replicas[0].Refresh(t.Context(), refresh.Tokens{Access: "a0", Refresh: "r"})
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Second)
		store.SetDown(true)
		two, err := replicas[0].Refresh(t.Context(), one) // as after a handler's 401
		if err != nil || two.Access != "a2" {
			t.Fatalf("%s, %v", two.Access, err)
		}
		store.SetDown(false)
		<-time.After(2 * time.Second)
		for i, c := range replicas {
			if got, err := c.Refresh(t.Context(), one); err != nil || got.Access != "a2" {
				t.Errorf("replica %d gives %s for the first, %v; want what it was exchanged for", i, got.Access, err)
			}
		}
		for i, c := range replicas {
			if got, err := c.Refresh(t.Context(), two); err != nil || got.Access != "a3" {
				t.Errorf("replica %d gives %s for the second, %v; want new ones", i, got.Access, err)
			}
		}
	})
}

// A refusal that another replica's call explains is waited with, until that is over.
func TestPromise02ARefusalBesideAnothersCallWaitsForIt(t *testing.T) {
	var n atomic.Int64
	p := refresh.Func(func(context.Context, refresh.Tokens) (refresh.Tokens, error) {
		if n.Add(1) == 1 {
			<-time.After(4 * time.Second) // it has decided, and its answer is slow
			return generation("u", 1), nil
		}
		<-time.After(400 * time.Millisecond)
		return refresh.Tokens{}, fmt.Errorf("%w: it has been used", refresh.ErrDenied)
	})
	replicated(t, 2, p, func(t *testing.T, store *refreshtest.FaultyStore, replicas []*refresh.Coordinator) {
		first := make(chan error, 1)
		go func() {
			_, err := replicas[0].Refresh(t.Context(), start("u"))
			first <- err
		}()
		<-time.After(100 * time.Millisecond)
		store.SetDown(true)
		time.AfterFunc(2700*time.Millisecond, func() { store.SetDown(false) })
		mustRefresh(t, replicas[1], start("u"), generation("u", 1))
		if err := <-first; err != nil {
			t.Error(err)
		}
		if calls := n.Load(); calls != 2 {
			t.Errorf("%d calls, want that both have asked", calls)
		}
	})
}

// A request that came within Grace is answered, though the Store is so slow that
// Grace is over when it has told what followed the tokens.
func TestPromise01GraceCountsWhenARequestComes(t *testing.T) {
	p := new(strict)
	replicated(t, 1, p, func(t *testing.T, store *refreshtest.FaultyStore, replicas []*refresh.Coordinator) {
		c := replicas[0]
		mustRefresh(t, c, start("u"), generation("u", 1))
		c.MarkArrived(generation("u", 1))
		<-time.After(refresh.DefaultGrace - time.Second)
		store.SetDelay(450*time.Millisecond, 450*time.Millisecond)
		mustRefresh(t, c, start("u"), generation("u", 1))
		store.SetDelay(0, 0)
		p.expect(t, 1, 0)
		if _, err := c.Refresh(t.Context(), start("u")); !errors.Is(err, refresh.ErrDenied) {
			t.Errorf("after grace the old refresh token gave %v, want the provider's refusal", err)
		}
	})
}
