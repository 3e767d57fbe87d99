package refresh

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Who is sent away for want of room is still signed in.
func busy(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, errBusy) || errors.Is(err, ErrDenied) {
		t.Errorf("%s: %v", what, err)
	}
}

func TestPromise09RefreshesUnderWayAreBounded(t *testing.T) {
	c := &Coordinator{Refresher: Func(func(context.Context, Tokens) (Tokens, error) { return Tokens{}, ErrNoAnswer })}
	c.init()
	stays := func(*flight) {} // a flight that does not end
	now := time.Now()
	one := Tokens{Access: "a", Refresh: "one"}
	for i := range 100_000 {
		if _, err := c.flights.join(one, now, stays); err != nil {
			t.Fatalf("caller %d of one refresh token: %v", i, err)
		}
	}
	_, err := c.flights.join(one, now, stays)
	busy(t, "one caller more", err)

	for i := range 16_384 - 1 {
		if _, err := c.flights.join(Tokens{Access: "a", Refresh: strconv.Itoa(i)}, now, stays); err != nil {
			t.Fatalf("refresh token %d: %v", i, err)
		}
	}
	_, err = c.Refresh(t.Context(), Tokens{Access: "a", Refresh: "another"})
	busy(t, "one refresh token more", err)
}

func TestPromise09CallsAtTheProviderAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int64
		c := &Coordinator{Timeout: time.Minute, Refresher: Func(func(_ context.Context, old Tokens) (Tokens, error) {
			n := now.Add(1)
			defer now.Add(-1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			time.Sleep(time.Second)
			return Tokens{Access: "new " + old.Refresh, Refresh: "new " + old.Refresh}, nil
		})}
		defer c.Close()
		begin := time.Now()
		var wg sync.WaitGroup
		for i := range 2*1_024 + 1 {
			wg.Go(func() {
				if _, err := c.Refresh(t.Context(), Tokens{Access: "a", Refresh: strconv.Itoa(i)}); err != nil {
					t.Errorf("login %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		if took := time.Since(begin); most.Load() != 1_024 || took != 3*time.Second {
			t.Errorf("%d calls at one time, and %v for all; want %d, and three seconds", most.Load(), took, 1_024)
		}
	})
}
