package refresh_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
)

// standing is a way to a Store whose replica stands still once, as it waits for
// an answer, for longer than one look at the Store may take.
type standing struct {
	refresh.Store
	still atomic.Bool
}

func (s *standing) Get(ctx context.Context, key string) ([]byte, error) {
	v, err := s.Store.Get(ctx, key)
	if strings.HasPrefix(key, "refresh.") && s.still.CompareAndSwap(true, false) {
		<-time.After(4 * time.Second)
		return nil, ctx.Err()
	}
	return v, err
}

// The Store is well, and has the result of another replica: a replica that was
// paused must look again before it asks the provider, which would take that for theft.
func TestPromise01AReplicaThatStoodStillLooksAgain(t *testing.T) {
	p := &strict{delay: 30 * time.Millisecond}
	replicated(t, 1, p, func(t *testing.T, store *flaky, replicas []*refresh.Coordinator) {
		way := &standing{Store: store}
		way.still.Store(true)
		paused := &refresh.Coordinator{Refresher: p, Store: way}
		done := make(chan error, 1)
		go func() {
			_, err := paused.Refresh(t.Context(), start("u"))
			done <- err
		}()
		<-time.After(10 * time.Millisecond)
		mustRefresh(t, replicas[0], start("u"), generation("u", 1))
		if err := <-done; err != nil {
			t.Error(err)
		}
		mustRefresh(t, paused, start("u"), generation("u", 1))
		p.expect(t, 1, 0)
		if err := paused.Close(); err != nil {
			t.Error(err)
		}
	})
}
