package refresh_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// apart runs f with two replicas over one store, the second of which has a clock
// that is ahead by as much as is borne, and with one that is behind.
func apart(t *testing.T, p refresh.Refresher, f func(t *testing.T, one, two *refresh.Coordinator)) {
	t.Helper()
	const most = refresh.DefaultGrace/2 - time.Second
	for _, d := range []time.Duration{most, -most} {
		t.Run(d.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := new(refresh.MemoryStore)
				one := &refresh.Coordinator{Refresher: p, Store: store}
				two := &refresh.Coordinator{Refresher: p, Store: &refreshtest.FaultyStore{Store: store, Skew: d}}
				f(t, one, two)
				if err := errors.Join(one.Close(), two.Close()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestPromise01ClocksApartMakeNoReuse(t *testing.T) {
	const users = 2
	p := new(strict)
	n := 0
	apart(t, p, func(t *testing.T, one, two *refresh.Coordinator) {
		n++
		user := string(rune('a' + n))
		for g := range 6 {
			first, second := one, two
			if g%2 == 1 {
				first, second = two, one
			}
			mustRefresh(t, first, generation(user, g), generation(user, g+1))
			<-time.After(100 * time.Millisecond)
			mustRefresh(t, second, generation(user, g), generation(user, g+1))
			<-time.After(20 * time.Second)
			if g > 0 { // requests that were under way, with cookies one older
				mustRefresh(t, second, generation(user, g-1), generation(user, g+1))
				mustRefresh(t, first, generation(user, g-1), generation(user, g+1))
			}
			<-time.After(100 * time.Millisecond)
		}
	})
	p.expect(t, 6*users, 0)
}

// Whose old cookies come a moment after a sign-out at another replica must not lose
// the cookies of a sign-in that has followed it.
func TestPromise02ClocksApartAndASignOut(t *testing.T) {
	p := refresh.Func(new(strict).Refresh) // no Revoker
	n := 0
	apart(t, p, func(t *testing.T, one, two *refresh.Coordinator) {
		for _, at := range [][2]*refresh.Coordinator{{one, two}, {two, one}} {
			n++
			old := start(string(rune('a' + n)))
			if err := at[0].Revoke(t.Context(), old); err != nil {
				t.Fatal(err)
			}
			<-time.After(20 * time.Second)
			if _, err := at[1].Refresh(t.Context(), old); !errors.Is(err, refresh.ErrEnded) {
				t.Errorf("got %v, want that the login was ended", err)
			}
		}
	})
}

// What has had its grace does not come back, though the replica that learned of it
// late has a clock that says otherwise: Grace is no shorter for that, and longer by
// no more than what clocks may differ, there and back.
func TestPromise01ClocksApartLengthenNoGrace(t *testing.T) {
	p := new(strict)
	n := 0
	apart(t, p, func(t *testing.T, one, two *refresh.Coordinator) {
		n++
		user := string(rune('a' + n))
		mustRefresh(t, one, start(user), generation(user, 1))
		one.MarkArrived(generation(user, 1))
		<-time.After(20 * time.Second)
		mustRefresh(t, two, start(user), generation(user, 1))
		for begin := time.Now(); time.Since(begin) < time.Minute; <-time.After(time.Second) {
			if _, err := two.Refresh(t.Context(), start(user)); errors.Is(err, refresh.ErrDenied) {
				if after := time.Since(begin); after < 9*time.Second || after > 41*time.Second {
					t.Errorf("after %v the provider is asked, want 10 to 40 s", after)
				}
				return
			}
		}
		t.Error("the old tokens are answered for longer than grace")
	})
}

// The Store has lost a claim, and two replicas ask at the same time. The provider
// gives each a successor. The first to be written is that of both, even if its
// writer's clock is behind.
func TestPromise05ClocksApartMakeNoFork(t *testing.T) {
	var calls atomic.Int64
	p := refresh.Func(func(context.Context, refresh.Tokens) (refresh.Tokens, error) {
		n := calls.Add(1)
		if n == 1 {
			<-time.After(4 * time.Second)
		}
		return refresh.Tokens{Access: fmt.Sprint("access ", n), Refresh: fmt.Sprint("refresh ", n)}, nil
	})
	replicated(t, 1, p, func(t *testing.T, store *refreshtest.FaultyStore, replicas []*refresh.Coordinator) {
		behind := &refresh.Coordinator{Refresher: p, Store: &refreshtest.FaultyStore{Store: store, Skew: -14 * time.Second}}
		done := make(chan refresh.Tokens, 1)
		go func() {
			got, err := replicas[0].Refresh(t.Context(), start("u"))
			if err != nil {
				t.Error(err)
			}
			done <- got
		}()
		<-time.After(time.Second)
		if err := store.Forget("refresh.claim"); err != nil {
			t.Fatal(err)
		}
		second, err := behind.Refresh(t.Context(), start("u"))
		if first := <-done; err != nil || first != second || calls.Load() != 2 {
			t.Errorf("one has %s, the other %s after %d calls: %v", first.Refresh, second.Refresh, calls.Load(), err)
		}
		if err := behind.Close(); err != nil {
			t.Error(err)
		}
	})
}
