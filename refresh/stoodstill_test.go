package refresh_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
)

// standing is a way to a Store whose replica stands still once. As in a real client,
// nothing is asked for a context that has ended.
type standing struct {
	refresh.Store
	op    string // in which it stands still: "get" or "swap"
	pause time.Duration
	still atomic.Bool
}

func (s *standing) stand(ctx context.Context, op, key string) error {
	if op == s.op && strings.HasPrefix(key, "refresh.") && s.still.CompareAndSwap(true, false) {
		<-time.After(s.pause)
	}
	return ctx.Err()
}

func (s *standing) Get(ctx context.Context, key string) ([]byte, error) {
	if err := s.stand(ctx, "get", key); err != nil {
		return nil, err
	}
	return s.Store.Get(ctx, key)
}

func (s *standing) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	if err := s.stand(ctx, "swap", key); err != nil {
		return false, err
	}
	return s.Store.Swap(ctx, key, old, new, ttl)
}

// The Store is well, and has the result of another replica: one that was paused must
// look again before it asks the provider, which would take that for theft. If it was
// for longer than a call may wait, nobody waits any more, and it does not ask at all.
func TestPromise01AReplicaThatStoodStillLooksAgain(t *testing.T) {
	for _, tt := range []struct {
		op    string
		pause time.Duration
		waits bool // who asked there, for the answer
	}{
		{"get", 4 * time.Second, true}, // longer than one look may take
		{"get", 11 * time.Second, false},
		{"swap", 11 * time.Second, false},
	} {
		t.Run(fmt.Sprint(tt.op, " for ", tt.pause), func(t *testing.T) {
			p := &strict{delay: 30 * time.Millisecond}
			replicated(t, 1, p, func(t *testing.T, store *flaky, replicas []*refresh.Coordinator) {
				way := &standing{Store: store, op: tt.op, pause: tt.pause}
				way.still.Store(true)
				paused := &refresh.Coordinator{Refresher: p, Store: way}
				done := make(chan error, 1)
				go func() {
					_, err := paused.Refresh(t.Context(), start("u"))
					done <- err
				}()
				<-time.After(10 * time.Millisecond)
				mustRefresh(t, replicas[0], start("u"), generation("u", 1))
				if err := <-done; tt.waits != (err == nil) {
					t.Errorf("who asked there gets %v", err)
				}
				if !tt.waits {
					<-time.After(10 * time.Second)
				}
				mustRefresh(t, paused, start("u"), generation("u", 1))
				p.expect(t, 1, 0)
				if err := paused.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
