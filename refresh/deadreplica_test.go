package refresh_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
)

// link is one replica's way to a Store, which ends when the replica does.
type link struct {
	refresh.Store
	cut atomic.Bool
}

func (l *link) Get(ctx context.Context, key string) ([]byte, error) {
	if l.cut.Load() {
		return nil, errDown
	}
	return l.Store.Get(ctx, key)
}

func (l *link) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	if l.cut.Load() {
		return false, errDown
	}
	return l.Store.Swap(ctx, key, old, new, ttl)
}

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
			replicated(t, 2, p, func(t *testing.T, store *flaky, replicas []*refresh.Coordinator) {
				way := &link{Store: store}
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
				way.cut.Store(true)
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
	replicated(t, 1, p, func(t *testing.T, store *flaky, replicas []*refresh.Coordinator) {
		way := &link{Store: store}
		still := &refresh.Coordinator{Store: way, Refresher: refresh.Func(func(ctx context.Context, old refresh.Tokens) (refresh.Tokens, error) {
			next, err := p.Refresh(ctx, old)
			<-time.After(7 * time.Second)
			return next, err
		})}
		go func() { _, _ = still.Refresh(t.Context(), start("u")) }()
		<-time.After(6 * time.Second)
		way.cut.Store(true)
		time.AfterFunc(6*time.Second, func() { way.cut.Store(false) })
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
