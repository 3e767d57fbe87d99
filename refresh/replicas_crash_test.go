package refresh_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// The provider has exchanged the token when the replica dies that has asked, and
// the browser goes on asking elsewhere. What the dead one has left in the Store
// must not keep the others from the provider until its grace is over.
func TestPromise02AReplicaKilledAtTheProviderLosesNoLoginWithinItsGrace(t *testing.T) {
	for name, lived := range map[string]time.Duration{
		"killed as the provider exchanges": 0,
		"killed while the answer is slow":  4 * time.Second,
	} {
		t.Run(name, func(t *testing.T) {
			p := &forgiving{grace: 10 * time.Second}
			replicated(t, 2, p, func(t *testing.T, store *refreshtest.FaultyStore, replicas []*refresh.Coordinator) {
				way := &refreshtest.FaultyStore{Store: store}
				killed := &refresh.Coordinator{Store: way, Refresher: refresh.Func(func(ctx context.Context, old refresh.Tokens) (refresh.Tokens, error) {
					if _, err := p.Refresh(ctx, old); err != nil {
						t.Error(err)
					}
					<-ctx.Done()
					return refresh.Tokens{}, ctx.Err()
				})}
				go func() { _, _ = killed.Refresh(t.Context(), start("u")) }()
				<-time.After(lived)
				synctest.Wait()
				way.SetDown(true)
				for begin := time.Now(); ; <-time.After(time.Second) {
					got, err := replicas[0].Refresh(t.Context(), start("u"))
					if err == nil && got == generation("u", 1) {
						break
					}
					if errors.Is(err, refresh.ErrDenied) || time.Since(begin) > 20*time.Second {
						t.Fatalf("after %v: %v", time.Since(begin), err)
					}
				}
				mustRefresh(t, replicas[1], start("u"), generation("u", 1))
				if err := killed.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// Where a slow answer is under way for so long that to ask again would be theft,
// the others wait for it, also if its replica stands still for some seconds.
func TestPromise02AReplicaThatStandsStillLateInACallIsWaitedFor(t *testing.T) {
	p := &forgiving{grace: 10 * time.Second}
	replicated(t, 1, p, func(t *testing.T, store *refreshtest.FaultyStore, replicas []*refresh.Coordinator) {
		way := &refreshtest.FaultyStore{Store: store}
		still := &refresh.Coordinator{Store: way, Refresher: refresh.Func(func(ctx context.Context, old refresh.Tokens) (refresh.Tokens, error) {
			next, err := p.Refresh(ctx, old)
			<-time.After(7 * time.Second)
			return next, err
		})}
		go func() { _, _ = still.Refresh(t.Context(), start("u")) }()
		<-time.After(6 * time.Second)
		way.SetDown(true)
		time.AfterFunc(6*time.Second, func() { way.SetDown(false) })
		for begin := time.Now(); ; <-time.After(time.Second) {
			got, err := replicas[0].Refresh(t.Context(), start("u"))
			if err == nil && got == generation("u", 1) {
				break
			}
			if errors.Is(err, refresh.ErrDenied) || time.Since(begin) > 20*time.Second {
				t.Fatalf("after %v: %v", time.Since(begin), err)
			}
		}
		if n := len(p.calls); n != 1 {
			t.Errorf("the provider was asked %d times", n)
		}
		if err := still.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Two replicas die one after the other, each in its call for the same login. The
// claims of both together must not keep the third from the provider until its
// grace is over.
func TestPromise02TwoReplicasKilledInTurnLoseNoLoginWithinItsGrace(t *testing.T) {
	p := &forgiving{grace: 10 * time.Second}
	replicated(t, 1, p, func(t *testing.T, store *refreshtest.FaultyStore, replicas []*refresh.Coordinator) {
		var killed []*refresh.Coordinator
		for range 2 {
			asked, once := make(chan struct{}), new(sync.Once)
			way := &refreshtest.FaultyStore{Store: store}
			c := &refresh.Coordinator{Store: way, Refresher: refresh.Func(func(ctx context.Context, old refresh.Tokens) (refresh.Tokens, error) {
				_, _ = p.Refresh(ctx, old)
				once.Do(func() { close(asked) })
				<-ctx.Done()
				return refresh.Tokens{}, ctx.Err()
			})}
			killed = append(killed, c)
			go func() { _, _ = c.Refresh(t.Context(), start("u")) }()
			<-asked
			<-time.After(500 * time.Millisecond)
			way.SetDown(true)
		}
		for begin := time.Now(); ; <-time.After(time.Second) {
			got, err := replicas[0].Refresh(t.Context(), start("u"))
			if err == nil && got == generation("u", 1) {
				break
			}
			if errors.Is(err, refresh.ErrDenied) || time.Since(begin) > 20*time.Second {
				t.Errorf("after %v: %v", time.Since(begin), err)
				break
			}
		}
		if n := len(p.calls); n != 3 {
			t.Errorf("the provider was asked %d times", n)
		} else {
			t.Log("asked again after", p.calls[1].Sub(p.calls[0]), "and", p.calls[2].Sub(p.calls[0]))
		}
		for _, c := range killed {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}
