package refresh_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// stall makes the replica that uses store stand still for pause, once, at its
// next call for a refresh token that is a Swap or is none. As in a real client,
// nothing is asked for a context that has ended.
func stall(store *refreshtest.FaultyStore, swap bool, pause time.Duration) {
	var stalled atomic.Bool
	store.Intercept(func(ctx context.Context, c refreshtest.StoreCall, do func() (bool, error)) error {
		if c.Swap == swap && strings.HasPrefix(c.Key, "refresh.") && stalled.CompareAndSwap(false, true) {
			<-time.After(pause)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		_, err := do()
		return err
	})
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
			replicated(t, 1, p, func(t *testing.T, store *refreshtest.FaultyStore, replicas []*refresh.Coordinator) {
				way := &refreshtest.FaultyStore{Store: store}
				stall(way, tt.op == "swap", tt.pause)
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

// A replica that looks again because the Store was slow stands still as well, until
// its claim has lapsed, and another's that has come since.
func TestPromise01AReplicaThatStoodStillTwiceLooksAgain(t *testing.T) {
	p := &strict{delay: 30 * time.Millisecond}
	replicated(t, 1, p, func(t *testing.T, store *refreshtest.FaultyStore, replicas []*refresh.Coordinator) {
		way := &refreshtest.FaultyStore{Store: store}
		var calls atomic.Int64
		way.Intercept(func(ctx context.Context, _ refreshtest.StoreCall, do func() (bool, error)) error {
			switch n := calls.Add(1); {
			case n <= 2: // a look and a claim
				defer func() { <-time.After(900 * time.Millisecond) }()
			case n == 4: // the claim after the second look
				<-time.After(12 * time.Second)
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			_, err := do()
			return err
		})
		paused := &refresh.Coordinator{Refresher: p, Store: way, Timeout: 30 * time.Second}
		done := make(chan error, 1)
		go func() {
			_, err := paused.Refresh(t.Context(), start("u"))
			done <- err
		}()
		<-time.After(7 * time.Second)
		mustRefresh(t, replicas[0], start("u"), generation("u", 1))
		if err := <-done; err != nil {
			t.Error(err)
		}
		p.expect(t, 1, 0)
		if err := paused.Close(); err != nil {
			t.Error(err)
		}
	})
}

// What a replica has read may be older than another's result by the time that it
// makes its claim: it must read again.
func TestPromise01ARecordThatWasReadLongAgoIsReadAgain(t *testing.T) {
	for name, tt := range map[string]struct {
		swap  bool
		pause time.Duration
	}{
		"the answer is slow":                       {false, 900 * time.Millisecond},
		"it stands still until claims have lapsed": {true, 11 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			p := &strict{delay: 30 * time.Millisecond}
			replicated(t, 1, p, func(t *testing.T, store *refreshtest.FaultyStore, replicas []*refresh.Coordinator) {
				way := &refreshtest.FaultyStore{Store: store}
				var once atomic.Bool
				way.Intercept(func(ctx context.Context, c refreshtest.StoreCall, do func() (bool, error)) error {
					if c.Swap != tt.swap || !once.CompareAndSwap(false, true) {
						_, err := do()
						return err
					}
					if !tt.swap {
						_, err := do()
						<-time.After(tt.pause)
						return err
					}
					<-time.After(tt.pause)
					return ctx.Err()
				})
				slow := &refresh.Coordinator{Refresher: p, Store: way, Timeout: 30 * time.Second}
				done := make(chan error, 1)
				go func() {
					_, err := slow.Refresh(t.Context(), start("u"))
					done <- err
				}()
				<-time.After(10 * time.Millisecond)
				mustRefresh(t, replicas[0], start("u"), generation("u", 1))
				if err := <-done; err != nil {
					t.Error(err)
				}
				p.expect(t, 1, 0)
				if err := slow.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
