package refresh_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
)

// A browser whose answer was lost comes back when its successor's access token
// has ended as well: the Coordinator's user goes on from that successor, which
// no browser has ever had, and the next answer may be lost too.
func TestPromise03GoingOnFromARenewalIsNoArrival(t *testing.T) {
	for _, replicas := range []int{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			var calls atomic.Int64
			p := refresh.Func(func(_ context.Context, old refresh.Tokens) (refresh.Tokens, error) {
				var n int64
				if _, err := fmt.Sscanf(old.Refresh, "refresh-%d", &n); err != nil || calls.Add(1) != n+1 {
					return refresh.Tokens{}, fmt.Errorf("%w: generation %d was used before", refresh.ErrDenied, n)
				}
				return refresh.Tokens{Access: fmt.Sprint("access-", n+1), Refresh: fmt.Sprint("refresh-", n+1)}, nil
			})
			var store refresh.Store
			if replicas > 1 {
				store = new(refresh.MemoryStore)
			}
			cs := make([]*refresh.Coordinator, replicas)
			for i := range cs {
				cs[i] = &refresh.Coordinator{Refresher: p, Store: store}
			}
			old := refresh.Tokens{Access: "access-0", Refresh: "refresh-0"}
			first, err := cs[0].Renew(t.Context(), old)
			if err != nil {
				t.Fatal(err)
			}
			second, err := first.Renew(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			first.Release()
			second.Release()
			<-time.After(time.Hour)
			got, err := cs[replicas-1].Refresh(t.Context(), old)
			if err != nil || got.Refresh != "refresh-2" || calls.Load() != 2 {
				t.Errorf("%d replicas: %v after %d calls, want the newest tokens after 2", replicas, err, calls.Load())
			}
			for _, c := range cs {
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
