package refresh_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/event"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

func TestPromise01OneRefreshAcrossReplicas(t *testing.T) {
	for _, spread := range []time.Duration{0, 100 * time.Millisecond, time.Hour} {
		t.Run(spread.String(), func(t *testing.T) {
			p := &strict{delay: 30 * time.Millisecond}
			replicated(t, 4, p, func(t *testing.T, store *refreshtest.FaultyStore, replicas []*refresh.Coordinator) {
				var wg sync.WaitGroup
				for i := range 1000 {
					wg.Go(func() {
						<-time.After(spread * time.Duration(i) / 1000)
						mustRefresh(t, replicas[i%4], start("u"), generation("u", 1))
					})
				}
				wg.Wait()
				p.expect(t, 1, 0)
			})
		})
	}
}

func TestLosersHaveTheResultSoonAfterTheWinner(t *testing.T) {
	p := &strict{delay: 100 * time.Millisecond}
	replicated(t, 2, p, func(t *testing.T, _ *refreshtest.FaultyStore, replicas []*refresh.Coordinator) {
		begin := time.Now()
		go func() { _, _ = replicas[0].Refresh(t.Context(), start("u")) }()
		synctest.Wait()
		mustRefresh(t, replicas[1], start("u"), generation("u", 1))
		if took := time.Since(begin); took > 110*time.Millisecond {
			t.Errorf("the loser waited for %v", took)
		}
	})
}

func TestPromise05LogoutWinsAcrossReplicas(t *testing.T) {
	p := &strict{after: time.Second}
	replicated(t, 3, p, func(t *testing.T, _ *refreshtest.FaultyStore, replicas []*refresh.Coordinator) {
		mustRefresh(t, replicas[0], start("u"), generation("u", 1))
		slow, err := replicas[1].Renew(t.Context(), start("u"))
		if err != nil {
			t.Fatal(err)
		}
		defer slow.Release()
		flight := make(chan error, 1)
		go func() {
			_, err := replicas[0].Refresh(t.Context(), generation("u", 1))
			flight <- err
		}()
		synctest.Wait()
		// The user signs out, with the oldest cookies, at a third replica.
		if err := replicas[2].Revoke(t.Context(), start("u")); err != nil {
			t.Fatal(err)
		}
		if err := <-flight; !errors.Is(err, refresh.ErrDenied) {
			t.Errorf("the refresh in flight gave %v", err)
		}
		if got, alive := slow.Newest(t.Context()); alive {
			t.Errorf("a slow response at another replica would bring back %s", got.Refresh)
		}
		for i, c := range replicas {
			for n := range 2 {
				if _, err := c.Refresh(t.Context(), generation("u", n)); !errors.Is(err, refresh.ErrDenied) {
					t.Errorf("replica %d takes generation %d: %v", i, n, err)
				}
			}
		}
		if got := strings.Join(p.revoked, " "); !strings.Contains(got, "u.2") {
			t.Errorf("revoked %s, not what the call in flight brought", got)
		}
	})
}

func TestPromise05TheNewestWinsAcrossReplicas(t *testing.T) {
	p := &strict{}
	replicated(t, 2, p, func(t *testing.T, _ *refreshtest.FaultyStore, replicas []*refresh.Coordinator) {
		slow, err := replicas[0].Renew(t.Context(), start("u"))
		if err != nil {
			t.Fatal(err)
		}
		for n := 1; n <= 20; n++ {
			replicas[1].MarkArrived(generation("u", n))
			<-time.After(time.Minute)
			mustRefresh(t, replicas[1], generation("u", n), generation("u", n+1))
		}
		if got, alive := slow.Newest(t.Context()); !alive || got != generation("u", 21) {
			t.Errorf("the slow response would write generation %s (%v), want 21", got.Refresh, alive)
		}
		slow.Release()
		p.expect(t, 21, 0)
	})
}

func TestArrivalAtOneReplicaBeginsGraceAtAll(t *testing.T) {
	p := &strict{}
	replicated(t, 2, p, func(t *testing.T, _ *refreshtest.FaultyStore, replicas []*refresh.Coordinator) {
		mustRefresh(t, replicas[0], start("u"), generation("u", 1))
		<-time.After(time.Hour)
		mustRefresh(t, replicas[1], start("u"), generation("u", 1))
		replicas[1].MarkArrived(generation("u", 1))
		<-time.After(29 * time.Second)
		mustRefresh(t, replicas[0], start("u"), generation("u", 1))
		<-time.After(refresh.DefaultGrace/2 + 2*time.Second) // half of it for clocks that are apart
		if _, err := replicas[0].Refresh(t.Context(), start("u")); !errors.Is(err, refresh.ErrDenied) {
			t.Errorf("after grace the old refresh token gave %v, want the provider's refusal", err)
		}
		p.expect(t, 2, 1)
	})
}

func TestWhereArrivalWasNotToldTheSuccessorsUseTells(t *testing.T) {
	p := &strict{}
	replicated(t, 2, p, func(t *testing.T, _ *refreshtest.FaultyStore, replicas []*refresh.Coordinator) {
		mustRefresh(t, replicas[0], start("u"), generation("u", 1))
		only := generation("u", 1)
		only.Access = "" // the access cookie had gone
		if got, err := replicas[1].Refresh(t.Context(), only); err != nil || got != generation("u", 2) {
			t.Fatalf("%v, %v", got, err)
		}
		mustRefresh(t, replicas[1], start("u"), generation("u", 2))
		<-time.After(refresh.DefaultGrace * 3 / 2) // half of it for clocks that are apart
		<-time.After(time.Second)
		if _, err := replicas[1].Refresh(t.Context(), start("u")); !errors.Is(err, refresh.ErrDenied) {
			t.Errorf("got %v, want the provider's refusal", err)
		}
	})
}

func TestPromise02ADeadStoreEndsNoLogin(t *testing.T) {
	p := &strict{delay: 10 * time.Millisecond}
	replicated(t, 1, p, func(t *testing.T, store *refreshtest.FaultyStore, replicas []*refresh.Coordinator) {
		var events atomic.Int64
		c := replicas[0]
		c.Observe = func(_ context.Context, e event.Event) {
			if e.Kind == event.StoreDegraded {
				events.Add(1)
			}
		}
		mustRefresh(t, c, start("u"), generation("u", 1))
		for name, breakIt := range map[string]func(){
			"down": func() { store.SetDown(true) },
			"slow": func() { store.SetDown(false); store.SetDelay(time.Minute, 0) },
		} {
			breakIt()
			before := events.Load()
			begin := time.Now()
			var wg sync.WaitGroup
			for range 100 {
				wg.Go(func() { mustRefresh(t, c, start("u"), generation("u", 1)) })
				wg.Go(func() { mustRefresh(t, c, start(name), generation(name, 1)) })
			}
			wg.Wait()
			mustRefresh(t, c, start(name), generation(name, 1)) // remembered here
			if took := time.Since(begin); took > 5*time.Second {
				t.Errorf("%s: it took %v", name, took)
			}
			if events.Load() == before {
				t.Errorf("%s: nobody was told", name)
			}
		}
		// Back again, it learns what was made without it.
		store.SetDown(false)
		store.SetDelay(0, 0)
		<-time.After(20 * time.Second)
		other := &refresh.Coordinator{Refresher: p, Store: store}
		mustRefresh(t, other, start("slow"), generation("slow", 1))
		p.expect(t, 3, 0)
		if err := other.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestAResultThatTheStoreRefusedAtFirstGetsThere(t *testing.T) {
	p := &strict{delay: time.Second}
	replicated(t, 2, p, func(t *testing.T, store *refreshtest.FaultyStore, replicas []*refresh.Coordinator) {
		done := make(chan struct{})
		go func() { defer close(done); mustRefresh(t, replicas[0], start("u"), generation("u", 1)) }()
		<-time.After(500 * time.Millisecond)
		store.SetDown(true)
		<-done
		<-time.After(2 * time.Second)
		store.SetDown(false)
		mustRefresh(t, replicas[1], start("u"), generation("u", 1))
		p.expect(t, 1, 0)
	})
}

func TestAReplicaThatDiedHoldsNobodyUpForLong(t *testing.T) {
	p := &strict{}
	replicated(t, 2, p, func(t *testing.T, store *refreshtest.FaultyStore, replicas []*refresh.Coordinator) {
		// It died before it asked: what is left is its claim.
		dead := &refresh.Coordinator{Store: store, Refresher: refresh.Func(func(ctx context.Context, _ refresh.Tokens) (refresh.Tokens, error) {
			store.SetDown(true) // for it alone: nobody else is there yet
			<-ctx.Done()
			return refresh.Tokens{}, ctx.Err()
		})}
		_, err := dead.Refresh(t.Context(), start("u"))
		if err == nil || errors.Is(err, refresh.ErrDenied) {
			t.Fatal(err)
		}
		if err := dead.Close(); err != nil {
			t.Fatal(err)
		}
		store.SetDown(false)
		begin := time.Now()
		for {
			_, err := replicas[1].Refresh(t.Context(), start("u"))
			if err == nil {
				break
			}
			if errors.Is(err, refresh.ErrDenied) || time.Since(begin) > 20*time.Second {
				t.Fatalf("after %v: %v", time.Since(begin), err)
			}
		}
		p.expect(t, 1, 0)
	})
}

func TestARefusalIsSharedByReplicas(t *testing.T) {
	p := &strict{}
	p.setFail(fmt.Errorf("%w: invalid_grant", refresh.ErrDenied))
	replicated(t, 3, p, func(t *testing.T, _ *refreshtest.FaultyStore, replicas []*refresh.Coordinator) {
		for _, c := range replicas {
			if _, err := c.Refresh(t.Context(), start("u")); !errors.Is(err, refresh.ErrDenied) {
				t.Error(err)
			}
		}
		p.expect(t, 1, 0)
		p.setFail(nil)
		<-time.After(11 * time.Second)
		mustRefresh(t, replicas[2], start("u"), generation("u", 1))
	})
}

func TestPromise02ATemporaryErrorFreesTheClaim(t *testing.T) {
	p := &strict{}
	replicated(t, 2, p, func(t *testing.T, _ *refreshtest.FaultyStore, replicas []*refresh.Coordinator) {
		p.setFail(errors.New("502"))
		if _, err := replicas[0].Refresh(t.Context(), start("u")); err == nil || errors.Is(err, refresh.ErrDenied) {
			t.Fatal(err)
		}
		p.setFail(nil)
		begin := time.Now()
		mustRefresh(t, replicas[1], start("u"), generation("u", 1))
		if took := time.Since(begin); took > 0 {
			t.Errorf("it took %v", took)
		}
	})
}

func TestAProviderThatDoesNotRotateBehindReplicas(t *testing.T) {
	var calls atomic.Int64
	p := refresh.Func(func(context.Context, refresh.Tokens) (refresh.Tokens, error) {
		return refresh.Tokens{Access: fmt.Sprint("access-", calls.Add(1)), Refresh: "constant"}, nil
	})
	replicated(t, 2, p, func(t *testing.T, _ *refreshtest.FaultyStore, replicas []*refresh.Coordinator) {
		for n := range 50 {
			old := refresh.Tokens{Access: fmt.Sprint("access-", n), Refresh: "constant"}
			for _, c := range replicas {
				if got, err := c.Refresh(t.Context(), old); err != nil || got.Access != fmt.Sprint("access-", n+1) {
					t.Fatalf("%d: %v, %v", n, got.Access, err)
				}
			}
			<-time.After(time.Minute)
		}
		if calls.Load() != 50 {
			t.Errorf("%d calls, want 50", calls.Load())
		}
	})
}

func TestAStoreNeverHoldsAToken(t *testing.T) {
	p := &strict{}
	replicated(t, 2, p, func(t *testing.T, store *refreshtest.FaultyStore, replicas []*refresh.Coordinator) {
		for n := range 5 {
			mustRefresh(t, replicas[n%2], generation("someone", n), generation("someone", n+1))
			replicas[n%2].MarkArrived(generation("someone", n+1))
		}
		synctest.Wait()
		written := 0
		for _, call := range store.Calls() {
			if !call.Swap {
				continue
			}
			written++
			if s := call.Key + string(call.New); strings.Contains(s, "someone") {
				t.Errorf("the store has seen %q", s)
			}
		}
		if written < 10 {
			t.Errorf("only %d values were written", written)
		}
	})
}

func TestAfterARestartWithTheStoreNothingIsLost(t *testing.T) {
	p := &strict{}
	replicated(t, 1, p, func(t *testing.T, store *refreshtest.FaultyStore, replicas []*refresh.Coordinator) {
		mustRefresh(t, replicas[0], start("u"), generation("u", 1))
		<-time.After(time.Hour)
		restarted := &refresh.Coordinator{Refresher: p, Store: store}
		mustRefresh(t, restarted, start("u"), generation("u", 1))
		p.expect(t, 1, 0)
		if err := restarted.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A provider rotates some of the time. A replica that has read the record before it
// was changed finds a claim of newer tokens than it knows, and leaves it there.
func TestPromise01AClaimOfNewerTokensIsNotTakenForASpentOne(t *testing.T) {
	var calls []string
	p := refresh.Func(func(_ context.Context, old refresh.Tokens) (refresh.Tokens, error) {
		calls = append(calls, old.Access)
		switch old.Access {
		case "a":
			return refresh.Tokens{Access: "b", Refresh: "same"}, nil
		case "b":
			<-time.After(2 * time.Second)
			return refresh.Tokens{Access: "c", Refresh: "another"}, nil
		}
		return refresh.Tokens{}, refresh.ErrDenied
	})
	replicated(t, 2, p, func(t *testing.T, store *refreshtest.FaultyStore, replicas []*refresh.Coordinator) {
		way := &refreshtest.FaultyStore{Store: store}
		var once atomic.Bool
		way.Intercept(func(_ context.Context, c refreshtest.StoreCall, do func() (bool, error)) error {
			if c.Swap && once.CompareAndSwap(false, true) { // its claim
				<-time.After(700 * time.Millisecond)
			}
			_, err := do()
			return err
		})
		late := &refresh.Coordinator{Refresher: p, Store: way}
		gives := func(c *refresh.Coordinator, old, want string) {
			t.Helper()
			if got, err := c.Refresh(t.Context(), refresh.Tokens{Access: old, Refresh: "same"}); err != nil || got.Access != want {
				t.Errorf("%s gave %s, %v", old, got.Access, err)
			}
		}
		var wg sync.WaitGroup
		wg.Go(func() { gives(late, "a", "b") }) // it claims what is claimed anew by then
		<-time.After(100 * time.Millisecond)
		gives(replicas[0], "a", "b")
		wg.Go(func() { gives(replicas[0], "b", "c") })
		<-time.After(time.Second)
		gives(replicas[1], "b", "c")
		wg.Wait()
		if got := fmt.Sprint(calls); got != "[a b]" {
			t.Errorf("the provider was asked with %s", got)
		}
		if err := late.Close(); err != nil {
			t.Error(err)
		}
	})
}

// An arrival of which the Store could not be told is told at the next sight.
func TestAnArrivalThatCouldNotBeToldIsToldAgain(t *testing.T) {
	replicated(t, 2, new(strict), func(t *testing.T, store *refreshtest.FaultyStore, replicas []*refresh.Coordinator) {
		mustRefresh(t, replicas[0], start("u"), generation("u", 1))
		for i, c := range replicas { // the one that has given them out, and another
			access := generation("u", 1).Access
			store.SetDown(true)
			if !c.FirstSight(access) {
				t.Errorf("replica %d: not the first sight", i)
			}
			c.MarkArrived(generation("u", 1))
			synctest.Wait()
			store.SetDown(false)
			if !c.FirstSight(access) {
				t.Errorf("replica %d: the arrival is not told again", i)
			}
			c.MarkArrived(generation("u", 1))
			synctest.Wait()
			if c.FirstSight(access) {
				t.Errorf("replica %d: it is told a third time", i)
			}
		}
	})
}
