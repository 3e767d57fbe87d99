package refresh_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// A user signs out at one replica while another is at the provider with the same
// tokens, which the provider then refuses, since they are revoked: to those who
// wait there, the user has signed out. It is no news that may clear the cookies of
// a login that has begun since.
func TestPromise02ARefusalAfterASignOutElsewhereIsASignOut(t *testing.T) {
	revoked := make(chan struct{})
	p := refresh.Func(func(context.Context, refresh.Tokens) (refresh.Tokens, error) {
		<-revoked
		<-time.After(50 * time.Millisecond)
		return refresh.Tokens{}, fmt.Errorf("%w: invalid_grant", refresh.ErrDenied)
	})
	replicated(t, 2, p, func(t *testing.T, _ *refreshtest.FaultyStore, replicas []*refresh.Coordinator) {
		revoked = make(chan struct{})
		answer := make(chan error)
		go func() {
			_, err := replicas[0].Refresh(t.Context(), start("u"))
			answer <- err
		}()
		<-time.After(100 * time.Millisecond)
		if err := replicas[1].Revoke(t.Context(), start("u")); err != nil {
			t.Fatal(err)
		}
		close(revoked)
		if err := <-answer; !errors.Is(err, refresh.ErrEnded) {
			t.Errorf("who waits at the other replica gets %v, want that the login was ended", err)
		}
		if _, err := replicas[0].Refresh(t.Context(), start("u")); !errors.Is(err, refresh.ErrEnded) {
			t.Errorf("who comes there next gets %v, want that the login was ended", err)
		}
	})
}

// The end of a login is recorded for the tokens that were presented, too, whatever
// answer of the Store is lost: these may be good at the provider for longer than it
// is known what has followed them.
func TestPromise05AnEndWhoseWriteSeemedToFailIsComplete(t *testing.T) {
	for lost := range 4 {
		t.Run(fmt.Sprintf("answer %d is lost", lost), func(t *testing.T) {
			p := new(strict)
			replicated(t, 2, refresh.Func(p.Refresh), func(t *testing.T, store *refreshtest.FaultyStore, replicas []*refresh.Coordinator) {
				mustRefresh(t, replicas[0], start("u"), generation("u", 1))
				var swaps int
				store.Intercept(func(_ context.Context, call refreshtest.StoreCall, do func() (bool, error)) error {
					_, err := do()
					if call.Swap {
						if swaps++; swaps == lost {
							return refreshtest.ErrStoreDown
						}
					}
					return err
				})
				if err := replicas[0].Replace(t.Context(), start("u")); err != nil {
					t.Fatal(err)
				}
				store.Intercept(nil)
				<-time.After(48 * time.Hour) // longer than Keep
				for n := range 2 {
					if _, err := replicas[1].Refresh(t.Context(), generation("u", n)); !errors.Is(err, refresh.ErrDenied) {
						t.Errorf("generation %d: %v", n, err)
					}
				}
				p.expect(t, 1, 0)
			})
		})
	}
}

// The record of the tokens that were presented changes while the end of their login
// is being written.
func TestPromise05AnEndBesideAnotherWriteIsComplete(t *testing.T) {
	p := new(strict)
	replicated(t, 2, refresh.Func(p.Refresh), func(t *testing.T, store *refreshtest.FaultyStore, replicas []*refresh.Coordinator) {
		mustRefresh(t, replicas[0], start("u"), generation("u", 1))
		var once bool
		store.Intercept(func(_ context.Context, call refreshtest.StoreCall, do func() (bool, error)) error {
			if call.Swap && !once {
				once = true
				key := refresh.StoreKey("refresh", start("u").Refresh)
				arrived := func(old []byte) ([]byte, time.Duration, error) {
					later := bytes.Clone(old)
					later[16]++ // the time when it was presented
					return later, 24 * time.Hour, nil
				}
				if err := refresh.Update(t.Context(), store, key, arrived); err != nil {
					t.Error(err)
				}
			}
			_, err := do()
			return err
		})
		if err := replicas[0].Replace(t.Context(), start("u")); err != nil {
			t.Fatal(err)
		}
		<-time.After(48 * time.Hour)
		if _, err := replicas[1].Refresh(t.Context(), start("u")); !errors.Is(err, refresh.ErrDenied) {
			t.Error(err)
		}
		p.expect(t, 1, 0)
	})
}

// An arrival that is told after the end of a login does not shorten that.
func TestPromise05AnArrivalLeavesAnEndAsItIs(t *testing.T) {
	p := new(strict)
	replicated(t, 2, refresh.Func(p.Refresh), func(t *testing.T, _ *refreshtest.FaultyStore, replicas []*refresh.Coordinator) {
		mustRefresh(t, replicas[0], start("u"), generation("u", 1))
		if err := replicas[0].Replace(t.Context(), generation("u", 1)); err != nil {
			t.Fatal(err)
		}
		replicas[1].MarkArrived(generation("u", 1))
		<-time.After(48 * time.Hour) // longer than Keep
		if _, err := replicas[1].Refresh(t.Context(), generation("u", 1)); !errors.Is(err, refresh.ErrDenied) {
			t.Error(err)
		}
		p.expect(t, 1, 0)
	})
}

// A result that could not be written meets an end when the Store is back: its tokens
// are revoked at the provider.
func TestPromise05AResultThatIsWrittenAfterTheEndIsRevoked(t *testing.T) {
	p := new(strict)
	replicated(t, 1, p, func(t *testing.T, store *refreshtest.FaultyStore, replicas []*refresh.Coordinator) {
		way := &refreshtest.FaultyStore{Store: store}
		way.SetDown(true)
		cut := &refresh.Coordinator{Refresher: p, Store: way}
		defer cut.Close()
		mustRefresh(t, cut, start("u"), generation("u", 1))
		if err := replicas[0].Revoke(t.Context(), start("u")); err != nil {
			t.Fatal(err)
		}
		way.SetDown(false)
		<-time.After(time.Second)
		p.mu.Lock()
		defer p.mu.Unlock()
		if got := fmt.Sprint(p.revoked); got != "[u.0 u.1]" {
			t.Errorf("the provider has revoked %s", got)
		}
	})
}

// A refusal of the provider takes the place of no end that only this replica knows.
func TestPromise05ARefusalLeavesAnEndAsItIs(t *testing.T) {
	var calls int
	p := refresh.Func(func(context.Context, refresh.Tokens) (refresh.Tokens, error) {
		calls++
		<-time.After(time.Second)
		return refresh.Tokens{}, refresh.ErrDenied
	})
	replicated(t, 1, p, func(t *testing.T, store *refreshtest.FaultyStore, replicas []*refresh.Coordinator) {
		done := make(chan error, 1)
		go func() {
			_, err := replicas[0].Refresh(t.Context(), start("u"))
			done <- err
		}()
		<-time.After(500 * time.Millisecond)
		store.SetDown(true)
		if err := replicas[0].Revoke(t.Context(), start("u")); err != nil {
			t.Fatal(err)
		}
		if err := <-done; !errors.Is(err, refresh.ErrDenied) {
			t.Error(err)
		}
		<-time.After(48 * time.Hour)
		if _, err := replicas[0].Refresh(t.Context(), start("u")); !errors.Is(err, refresh.ErrDenied) || calls != 1 {
			t.Errorf("two days later: %v after %d calls", err, calls)
		}
	})
}
