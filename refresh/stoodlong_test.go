package refresh_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
)

// slept is a way to a Store whose replica stands still once, for longer than a
// call waits for others. As in a real client, nothing is asked for a context that
// has ended.
type slept struct {
	refresh.Store
	op    string // in which it stands still: "get" or "swap"
	still atomic.Bool
}

func (s *slept) stand(ctx context.Context, op, key string) error {
	if op == s.op && strings.HasPrefix(key, "refresh.") && s.still.CompareAndSwap(true, false) {
		<-time.After(11 * time.Second)
	}
	return ctx.Err()
}

func (s *slept) Get(ctx context.Context, key string) ([]byte, error) {
	if err := s.stand(ctx, "get", key); err != nil {
		return nil, err
	}
	return s.Store.Get(ctx, key)
}

func (s *slept) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	if err := s.stand(ctx, "swap", key); err != nil {
		return false, err
	}
	return s.Store.Swap(ctx, key, old, new, ttl)
}

// Who has waited for all the time that a call has says nothing of the Store. The
// Store has the result of another replica, and nobody waits here any more: the
// provider must not be asked without a look at it.
func TestPromise01AReplicaThatStoodStillForLongDoesNotAskWithoutTheStore(t *testing.T) {
	for _, op := range []string{"get", "swap"} {
		t.Run(op, func(t *testing.T) {
			p := &strict{delay: 30 * time.Millisecond}
			replicated(t, 1, p, func(t *testing.T, store *flaky, replicas []*refresh.Coordinator) {
				way := &slept{Store: store, op: op}
				way.still.Store(true)
				paused := &refresh.Coordinator{Refresher: p, Store: way}
				done := make(chan error, 1)
				go func() {
					_, err := paused.Refresh(t.Context(), start("u"))
					done <- err
				}()
				<-time.After(10 * time.Millisecond)
				mustRefresh(t, replicas[0], start("u"), generation("u", 1))
				if err := <-done; err == nil {
					t.Error("it has waited for longer than it may")
				}
				<-time.After(10 * time.Second)
				mustRefresh(t, paused, start("u"), generation("u", 1))
				p.expect(t, 1, 0)
				if err := paused.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
