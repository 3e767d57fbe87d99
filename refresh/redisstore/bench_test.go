package redisstore_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/redisstore"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// BenchmarkLoser is how long after the provider's answer the last caller has it
// at the replica that lost the race for the call, over a real Redis, with the
// time for the winner to put it there.
func BenchmarkLoser(b *testing.B) {
	addr := refreshtest.StartRedis(b).Addr
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer client.Close()
	store := &redisstore.Store{Client: client}
	defer store.Close()
	for _, waiters := range []int{1, 100} {
		b.Run(fmt.Sprintf("waiters=%d", waiters), func(b *testing.B) { benchmarkLoser(b, store, waiters) })
	}
}

func benchmarkLoser(b *testing.B, store refresh.Store, waiters int) {
	asked, answered := make(chan struct{}, 1), time.Time{}
	p := refresh.Func(func(_ context.Context, old refresh.Tokens) (refresh.Tokens, error) {
		asked <- struct{}{}
		<-time.After(50 * time.Millisecond)
		answered = time.Now()
		return refresh.Tokens{Access: old.Access + "+", Refresh: old.Refresh + "+"}, nil
	})
	winner, loser := &refresh.Coordinator{Refresher: p, Store: store}, &refresh.Coordinator{Refresher: p, Store: store}
	defer winner.Close()
	defer loser.Close()
	var total time.Duration
	n := 0
	for b.Loop() {
		n++
		old := refresh.Tokens{Access: fmt.Sprint(b.Name(), "-access-", n), Refresh: fmt.Sprint(b.Name(), time.Now().UnixNano(), "-refresh-", n)}
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = winner.Refresh(b.Context(), old) })
		<-asked
		for range waiters {
			wg.Go(func() {
				if got, err := loser.Refresh(b.Context(), old); err != nil || got.Access != old.Access+"+" {
					b.Errorf("a caller gets %v: %v", got, err)
				}
			})
		}
		wg.Wait()
		total += time.Since(answered)
	}
	b.ReportMetric(float64(total.Microseconds())/1000/float64(n), "ms-after-answer")
	b.ReportMetric(0, "ns/op")
}
