package refresh_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
)

// BenchmarkRefresh is what a refresh costs beyond the provider's own latency:
// the time from the first caller's call to the last caller's result, less the
// time in which the provider had the word. That is ns/op here; ns/waiter is the
// same divided by the callers. With two replicas half of the callers are at
// each, over a MemoryStore that both share and that cannot tell of changes, so
// that the second looks for the result again and again.
func BenchmarkRefresh(b *testing.B) {
	for _, replicas := range []int{1, 2} {
		for _, waiters := range []int{1, 100, 10_000} {
			b.Run(fmt.Sprintf("replicas=%d/waiters=%d", replicas, waiters), func(b *testing.B) {
				benchmarkRefresh(b, replicas, waiters)
			})
		}
	}
}

func benchmarkRefresh(b *testing.B, replicas, waiters int) {
	const latency = 20 * time.Millisecond
	var atProvider atomic.Int64 // time.Duration
	var calls atomic.Int64
	p := refresh.Func(func(_ context.Context, old refresh.Tokens) (refresh.Tokens, error) {
		begin := time.Now()
		<-time.After(latency)
		calls.Add(1)
		next := refresh.Tokens{Access: old.Access + "+", Refresh: old.Refresh + "+"}
		atProvider.Add(int64(time.Since(begin)))
		return next, nil
	})
	var store refresh.Store
	if replicas > 1 {
		store = new(refresh.MemoryStore)
	}
	all := make([]*refresh.Coordinator, replicas)
	for i := range all {
		all[i] = &refresh.Coordinator{Refresher: p, Store: store, Timeout: time.Minute}
	}
	var total time.Duration
	logins := 0
	for b.Loop() {
		logins++
		old := start(fmt.Sprint("login-", logins))
		begin := time.Now()
		var wg sync.WaitGroup
		for i := range waiters {
			wg.Go(func() {
				if got, err := all[i%replicas].Refresh(b.Context(), old); err != nil || got.Access != old.Access+"+" {
					b.Errorf("a caller gets %q: %v", got.Access, err)
				}
			})
		}
		wg.Wait()
		total += time.Since(begin)
	}
	for _, c := range all {
		if err := c.Close(); err != nil {
			b.Error(err)
		}
	}
	if int(calls.Load()) != logins {
		b.Errorf("%d calls at the provider for %d logins", calls.Load(), logins)
	}
	beyond := float64(total-time.Duration(atProvider.Load())) / float64(logins)
	b.ReportMetric(beyond, "ns/op")
	b.ReportMetric(beyond/float64(waiters), "ns/waiter")
}
