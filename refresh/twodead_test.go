package refresh_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
)

// Two replicas die one after the other, each in its call for the same login. The
// claims of both together must not keep the third from the provider until its
// grace is over.
func TestPromise02TwoReplicasKilledInTurnLoseNoLoginWithinItsGrace(t *testing.T) {
	p := &forgiving{grace: 10 * time.Second}
	replicated(t, 1, p, func(t *testing.T, store *flaky, replicas []*refresh.Coordinator) {
		var killed []*refresh.Coordinator
		for range 2 {
			asked, once := make(chan struct{}), new(sync.Once)
			way := &link{Store: store}
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
			way.cut.Store(true)
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
