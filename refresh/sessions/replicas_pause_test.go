package sessions_test

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
	"github.com/tokenlife/tokenlife/refresh/sessions"
)

// A replica stands still for 20 seconds at any step of a refresh, and a browser goes
// on at the other one. Between the provider's answer and the write of it that is
// a crash: see the package's documentation.
func TestAReplicaThatStandsStillAtAnyStepLosesNoLogin(t *testing.T) {
	for n := range 24 {
		step, happened, slow := 1+n%6, n/6%2 == 1, n >= 12
		writes, delay := 3, time.Duration(0)
		if slow {
			writes, delay = 5, 3*time.Second // and the claim is renewed twice
		}
		for _, still := range []time.Duration{6 * time.Second, 20 * time.Second} {
			if step == writes && !happened {
				continue
			}
			t.Run(fmt.Sprintf("%v at step %d, which happened: %t; the provider takes %v", still, step, happened, delay), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					w.provider.delay = delay
					way := &refreshtest.FaultyStore{Store: w.store}
					s := w.replica(func(s *sessions.Sessions) { s.Store = way })
					other := w.replica()
					tok := w.start(s, alice)
					time.Sleep(time.Minute)
					var calls atomic.Int64
					way.Intercept(func(_ context.Context, _ refreshtest.StoreCall, do func() (bool, error)) (err error) {
						now := calls.Add(1) == int64(step)
						if now && !happened {
							time.Sleep(still)
						}
						_, err = do()
						if now && happened {
							time.Sleep(still)
						}
						return err
					})
					go func() { _, _ = s.Refresh(t.Context(), tok) }()
					time.Sleep(time.Second)
					var next refresh.Tokens
					for n := 0; ; n++ {
						var err error
						if next, err = other.Refresh(t.Context(), tok); err == nil {
							break
						}
						if errors.Is(err, refresh.ErrDenied) || n > 10 {
							t.Fatal(err)
						}
					}
					time.Sleep(40 * time.Second)
					way.Intercept(nil)
					w.provider.delay = 0
					if again := w.refresh(s, tok); again != next {
						t.Error("it gets another successor")
					}
					w.refresh(s, next)
					if _, reuses, _ := w.provider.counts(); reuses != 0 {
						t.Errorf("the provider saw %d reuses", reuses)
					}
				})
			})
		}
	}
}

// A replica that has stood still for longer than its claim lives does not ask.
func TestAReplicaThatHasStoodStillDoesNotAskTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s, other := w.replica(), w.replica()
		tok := w.start(s, alice)
		time.Sleep(time.Minute)
		var once atomic.Bool
		w.store.Intercept(func(_ context.Context, c refreshtest.StoreCall, do func() (bool, error)) error {
			_, err := do()
			if c.Swap && once.CompareAndSwap(false, true) {
				<-time.After(10 * time.Second)
			}
			return err
		})
		var first refresh.Tokens
		done := make(chan error)
		go func() {
			var err error
			first, err = s.Refresh(t.Context(), tok)
			done <- err
		}()
		time.Sleep(6 * time.Second)
		second := w.refresh(other, tok)
		<-done
		time.Sleep(10 * time.Second)
		if again := w.refresh(s, tok); again != second || first != (refresh.Tokens{}) && first != second {
			t.Error("it gets another successor")
		}
		w.asked(1)
	})
}

// The store is away from one replica for so long that another takes its claim over.
func TestAResultThatComesTooLateIsNotTheLogins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		way := &refreshtest.FaultyStore{Store: w.store}
		answer := func(name string, takes time.Duration) func(*sessions.Sessions) {
			return func(s *sessions.Sessions) {
				s.Refresher = refresh.Func(func(context.Context, refresh.Tokens) (refresh.Tokens, error) {
					<-time.After(takes)
					return refresh.Tokens{Access: name, Refresh: "refresh of " + name}, nil
				})
			}
		}
		late := w.replica(answer("late", 8*time.Second), func(s *sessions.Sessions) { s.Store = way })
		other := w.replica(answer("other", time.Second))
		tok := w.start(late, alice)
		time.AfterFunc(time.Second, func() { way.SetDown(true) })
		time.AfterFunc(7*time.Second, func() { way.SetDown(false) })
		go func() { _, _ = late.Refresh(t.Context(), tok) }()
		time.Sleep(2 * time.Second)
		next := w.refresh(other, tok)
		time.Sleep(4 * time.Second)
		if got := w.refresh(late, tok); got != next {
			t.Error("its callers get another successor")
		}
		time.Sleep(20 * time.Second)
		if got := w.access(w.replica(), next); got != "other" || w.refresh(other, tok) != next {
			t.Errorf("the access token is %q", got)
		}
	})
}

// The way of one replica to the store is gone for so long that another takes its
// claim over. What the provider says to the first is not its last word.
func TestARefusalThatComesTooLateEndsNothing(t *testing.T) {
	for _, tt := range []struct{ refuses, answers time.Duration }{
		{7 * time.Second, 6 * time.Second},         // while the other asks
		{9500 * time.Millisecond, time.Second},     // when it has got an answer, and its claim has lapsed
		{5500 * time.Millisecond, 2 * time.Second}, // while the other asks, shortly before its answer
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			way := &refreshtest.FaultyStore{Store: w.store}
			late := w.replica(func(s *sessions.Sessions) {
				s.Store = way
				s.Refresher = refresh.Func(func(context.Context, refresh.Tokens) (refresh.Tokens, error) {
					<-time.After(tt.refuses)
					return refresh.Tokens{}, refresh.ErrDenied
				})
			})
			other := w.replica(func(s *sessions.Sessions) {
				s.Refresher = refresh.Func(func(context.Context, refresh.Tokens) (refresh.Tokens, error) {
					<-time.After(tt.answers)
					return refresh.Tokens{Access: "access-2", Refresh: "refresh-2"}, nil
				})
			})
			tok := w.start(late, alice)
			time.AfterFunc(500*time.Millisecond, func() { way.SetDown(true) })
			time.AfterFunc(5*time.Second, func() { way.SetDown(false) })
			go func() { _, _ = late.Refresh(t.Context(), tok) }()
			time.Sleep(time.Second)
			_, _ = other.Refresh(t.Context(), tok)
			time.Sleep(20 * time.Second)
			if got := w.access(w.replica(), w.refresh(other, tok)); got != "access-2" {
				t.Errorf("the access token is %q", got)
			}
			if got := w.kinds(); got != "" {
				t.Errorf("events: %s", got)
			}
		})
	}
}
