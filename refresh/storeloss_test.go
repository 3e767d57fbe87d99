package refresh_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
)

// forgetful is a Store that can lose all that it has, as one that keeps it in
// memory does at a restart.
type forgetful struct {
	now atomic.Pointer[refresh.MemoryStore]
}

func (s *forgetful) forget() { s.now.Store(new(refresh.MemoryStore)) }

func (s *forgetful) Get(ctx context.Context, key string) ([]byte, error) {
	return s.now.Load().Get(ctx, key)
}

func (s *forgetful) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	return s.now.Load().Swap(ctx, key, old, new, ttl)
}

// Who has seen the result knows, in a time in which a Store that works would still
// have it, that the tokens which it replaced must not be used again.
func TestPromise02AStoreThatForgetsEndsNoLogin(t *testing.T) {
	p := &strict{}
	synctest.Test(t, func(t *testing.T) {
		store := new(forgetful)
		store.forget()
		knows := &refresh.Coordinator{Refresher: p, Store: store}
		stranger := &refresh.Coordinator{Refresher: p, Store: store}
		mustRefresh(t, knows, start("u"), generation("u", 1))
		<-time.After(refresh.DefaultGrace/2 - time.Second)
		store.forget()
		mustRefresh(t, knows, start("u"), generation("u", 1))
		// It has put the result back, for the others.
		synctest.Wait()
		mustRefresh(t, stranger, start("u"), generation("u", 1))
		p.expect(t, 1, 0)
		for _, c := range []*refresh.Coordinator{knows, stranger} {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}
