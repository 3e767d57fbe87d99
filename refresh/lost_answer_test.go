package refresh_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
)

// An answer is lost while thirty callers wait for it: they share the second attempt.
func TestPromise02ALostAnswerIsFetchedForThoseWhoWait(t *testing.T) {
	coordinated(t, func(t *testing.T, c *refresh.Coordinator) {
		p := &forgiving{grace: 10 * time.Second, lose: 1, err: errLost}
		c.Refresher = p
		var wg sync.WaitGroup
		for i := range 30 {
			wg.Go(func() {
				<-time.After(time.Duration(i) * 10 * time.Millisecond)
				mustRefresh(t, c, start("u"), generation("u", 1))
			})
		}
		wg.Wait()
		if len(p.calls) != 2 || p.calls[1].Sub(p.calls[0]) > time.Second {
			t.Errorf("the provider was asked at %v", p.calls)
		}
	})
}

// Two answers were lost, the browser was away, and the provider's grace is over
// when it comes back.
func TestPromise02ALostAnswerIsFetchedAgain(t *testing.T) {
	for name, lose := range map[string]int{
		"two answers were lost":   2,
		"three answers were lost": 3,
	} {
		t.Run(name, func(t *testing.T) {
			coordinated(t, func(t *testing.T, c *refresh.Coordinator) {
				p := &forgiving{grace: 10 * time.Second, lose: lose, err: errLost}
				c.Refresher = p
				if _, err := c.Refresh(t.Context(), start("u")); !errors.Is(err, refresh.ErrNoAnswer) {
					t.Fatalf("got %v, want the lost answer", err)
				}
				<-time.After(time.Hour)
				mustRefresh(t, c, start("u"), generation("u", 1))
				p.mu.Lock()
				defer p.mu.Unlock()
				if len(p.calls) != lose+1 || p.stole {
					t.Errorf("the provider was asked at %v, taken for theft: %t", p.calls, p.stole)
				}
			})
		})
	}
}

func TestALostAnswerIsNotAskedForWithoutNeed(t *testing.T) {
	for _, tt := range []struct {
		name  string
		err   error
		after func(t *testing.T, c *refresh.Coordinator)
		calls int
	}{
		{"nobody comes: three times more", errLost, nil, 4},
		{"an answer that takes too long: once more", fmt.Errorf("%w: %w", refresh.ErrNoAnswer, context.DeadlineExceeded), nil, 2},
		{"the provider has answered, and has no time", errors.New("status 429"), nil, 1},
		{"the user signs out", errLost, func(t *testing.T, c *refresh.Coordinator) {
			if err := c.Revoke(t.Context(), start("u")); err != nil {
				t.Error(err)
			}
		}, 1},
		{"the process ends", errLost, func(t *testing.T, c *refresh.Coordinator) {
			begin := time.Now()
			if err := c.Close(); err != nil || time.Since(begin) > 0 {
				t.Errorf("closed with %v after %s", err, time.Since(begin))
			}
		}, 1},
		{"twenty others come meanwhile: as if they were one", errLost, func(t *testing.T, c *refresh.Coordinator) {
			for range 20 {
				go func() { _, _ = c.Refresh(t.Context(), start("u")) }()
			}
		}, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			coordinated(t, func(t *testing.T, c *refresh.Coordinator) {
				p := &forgiving{grace: time.Minute, lose: 1000, err: tt.err}
				c.Refresher = p
				done := make(chan struct{})
				go func() {
					defer close(done)
					if _, err := c.Refresh(t.Context(), start("u")); err == nil {
						t.Error("got tokens")
					}
				}()
				synctest.Wait() // the first answer is lost
				if tt.after != nil {
					tt.after(t, c)
				}
				<-time.After(time.Minute)
				<-done
				p.mu.Lock()
				defer p.mu.Unlock()
				if len(p.calls) != tt.calls {
					t.Errorf("the provider was asked %d times, want %d", len(p.calls), tt.calls)
				}
			})
		})
	}
}

// After a restart a late request with old tokens gets, from a provider with
// grace, tokens that this process knows as replaced already.
func TestPromise05WhatComesLateIsNotTheNewest(t *testing.T) {
	eachStorage(t, func(t *testing.T, kind storage) {
		store := kind.open()
		p := &forgiving{grace: time.Minute}
		before := &refresh.Coordinator{Refresher: p, Store: store}
		mustRefresh(t, before, start("u"), generation("u", 1))
		if err := before.Close(); err != nil {
			t.Fatal(err)
		}
		after := &refresh.Coordinator{Refresher: p, Store: store}
		defer after.Close()
		mustRefresh(t, after, generation("u", 1), generation("u", 2))
		mustRefresh(t, after, start("u"), generation("u", 2))
		mustRefresh(t, after, generation("u", 1), generation("u", 2))
		if err := after.Revoke(t.Context(), start("u")); err != nil {
			t.Fatal(err)
		}
		for n := range 3 {
			if _, err := after.Refresh(t.Context(), generation("u", n)); !errors.Is(err, refresh.ErrDenied) {
				t.Errorf("generation %d after the sign-out: %v", n, err)
			}
		}
	})
}
