package refresh_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// A browser whose answer was lost comes back when its successor's access token
// has ended as well: the Coordinator's user goes on from that successor, which
// no browser has ever had, and the next answer may be lost too.
func TestPromise03GoingOnFromARenewalIsNoArrival(t *testing.T) {
	// Another process without a Store would know nothing of the first.
	for name, at := range map[string]struct {
		index int
		only  []storage
	}{
		"at the same replica": {0, nil},
		"at another replica":  {1, []storage{memoryStore}},
	} {
		t.Run(name, func(t *testing.T) {
			eachStorage(t, func(t *testing.T, kind storage) {
				var calls atomic.Int64
				p := refresh.Func(func(_ context.Context, old refresh.Tokens) (refresh.Tokens, error) {
					var n int64
					if _, err := fmt.Sscanf(old.Refresh, "refresh-%d", &n); err != nil || calls.Add(1) != n+1 {
						return refresh.Tokens{}, fmt.Errorf("%w: generation %d was used before", refresh.ErrDenied, n)
					}
					return refresh.Tokens{Access: fmt.Sprint("access-", n+1), Refresh: fmt.Sprint("refresh-", n+1)}, nil
				})
				store := kind.open()
				replicas := []*refresh.Coordinator{{Refresher: p, Store: store}, {Refresher: p, Store: store}}
				old := refresh.Tokens{Access: "access-0", Refresh: "refresh-0"}
				first, err := replicas[0].Renew(t.Context(), old)
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
				got, err := replicas[at.index].Refresh(t.Context(), old)
				if err != nil || got.Refresh != "refresh-2" || calls.Load() != 2 {
					t.Errorf("%v after %d calls, want the newest tokens after 2", err, calls.Load())
				}
				for _, c := range replicas {
					if err := c.Close(); err != nil {
						t.Error(err)
					}
				}
			}, at.only...)
		})
	}
}

// A response that cannot look at the store at its last moment does not know whether
// what it was given is the newest, if it has taken almost as long as Grace.
func TestPromise05AResponseThatWasCutOffFromTheStoreWritesNothingOld(t *testing.T) {
	tests := []struct {
		name    string
		cutOff  time.Duration
		renewed bool // meanwhile, elsewhere
		want    int  // the generation that may be written when the store is back
		cut     int  // the same while it is not; 0: none
	}{
		{"for a moment", 5 * time.Second, false, 1, 1},
		{"for a moment, and the tokens are renewed", 5 * time.Second, true, 2, 1},
		{"for half of grace", 15 * time.Second, true, 2, 1},
		{"for longer than grace", 50 * time.Second, true, 2, 0},
		{"for longer than grace, and nothing happens", 50 * time.Second, false, 1, 0},
	}
	const never = -1
	for _, tt := range tests {
		for name, back := range map[string]time.Duration{"at once": 0, "a minute later": time.Minute, "while it is cut off": never} {
			t.Run(tt.name+", and it answers "+name, func(t *testing.T) {
				want := tt.want
				if back == never {
					want = tt.cut
				}
				p := new(strict)
				replicated(t, 1, p, func(t *testing.T, store *refreshtest.FaultyStore, replicas []*refresh.Coordinator) {
					way := &refreshtest.FaultyStore{Store: store}
					slow := &refresh.Coordinator{Refresher: p, Store: way}
					held, err := slow.Renew(t.Context(), start("u"))
					if err != nil {
						t.Fatal(err)
					}
					way.SetDown(true)
					newest := 1
					if tt.renewed {
						newest = 2
						mustRefresh(t, replicas[0], generation("u", 1), generation("u", 2))
						replicas[0].MarkArrived(generation("u", 2))
					}
					<-time.After(tt.cutOff)
					if back != never {
						way.SetDown(false)
						<-time.After(back)
					}
					got, ok := held.Newest(t.Context())
					if ok != (want > 0) || ok && got != generation("u", want) {
						t.Errorf("%s may be written: %t, want generation %d", got.Refresh, ok, want)
					}
					held.Release()
					mustRefresh(t, replicas[0], generation("u", newest), generation("u", newest+1))
					if err := slow.Close(); err != nil {
						t.Error(err)
					}
				})
			})
		}
	}
}

// What only this replica knows is written all the same: nobody else could lead the
// browser on.
func TestPromise02AResponseThatWasCutOffWritesWhatOnlyItsReplicaKnows(t *testing.T) {
	p := new(strict)
	replicated(t, 1, p, func(t *testing.T, store *refreshtest.FaultyStore, replicas []*refresh.Coordinator) {
		way := &refreshtest.FaultyStore{Store: store}
		way.SetDown(true)
		slow := &refresh.Coordinator{Refresher: p, Store: way}
		held, err := slow.Renew(t.Context(), start("u"))
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(2 * time.Minute)
		way.SetDown(false)
		if got, ok := held.Newest(t.Context()); !ok || got != generation("u", 1) {
			t.Errorf("%s may be written: %t, want the one that nobody else has", got.Refresh, ok)
		}
		held.Release()
		mustRefresh(t, replicas[0], generation("u", 1), generation("u", 2))
		if err := slow.Close(); err != nil {
			t.Error(err)
		}
	})
}

// The same while the Store is still out of reach.
func TestPromise02AResponseThatIsCutOffWritesWhatOnlyItsReplicaKnows(t *testing.T) {
	p := new(strict)
	replicated(t, 1, p, func(t *testing.T, store *refreshtest.FaultyStore, replicas []*refresh.Coordinator) {
		way := &refreshtest.FaultyStore{Store: store}
		way.SetDown(true)
		slow := &refresh.Coordinator{Refresher: p, Store: way}
		held, err := slow.Renew(t.Context(), start("u"))
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(2 * time.Minute)
		if got, ok := held.Newest(t.Context()); !ok || got != generation("u", 1) {
			t.Errorf("%s may be written: %t, want the one that nobody else has", got.Refresh, ok)
		}
		held.Release()
		if err := slow.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A Renewal that is released while it looks what has become of its login does not
// look again.
func TestAReleasedRenewalAsksTheStoreNothing(t *testing.T) {
	replicated(t, 1, new(strict), func(t *testing.T, store *refreshtest.FaultyStore, replicas []*refresh.Coordinator) {
		store.SetDelay(500*time.Millisecond, 0)
		held, err := replicas[0].Renew(t.Context(), start("u"))
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(refresh.DefaultGrace/3 + 100*time.Millisecond) // it looks
		gets, _ := store.Count()
		held.Release()
		<-time.After(5 * time.Minute)
		if now, _ := store.Count(); now > gets+1 {
			t.Errorf("after the release it asked the store %d times", now-gets)
		}
	})
}
