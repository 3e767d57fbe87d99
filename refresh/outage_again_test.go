package refresh_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
)

// What the store could not be told at the sign-out, it is told when it is back.
func TestPromise05ASignOutWhileTheStoreIsAwayReachesTheOthers(t *testing.T) {
	ends := map[string]func(*refresh.Coordinator, context.Context, refresh.Tokens) error{
		"sign-out":       (*refresh.Coordinator).Revoke,
		"another signin": (*refresh.Coordinator).Replace,
	}
	for name, end := range ends {
		for _, away := range []time.Duration{500 * time.Millisecond, 1500 * time.Millisecond, 10 * time.Second} {
			t.Run(fmt.Sprint(name, ", for ", away), func(t *testing.T) {
				p := refresh.Func(new(strict).Refresh) // no Revoker: nobody else refuses
				replicated(t, 2, p, func(t *testing.T, store *flaky, replicas []*refresh.Coordinator) {
					mustRefresh(t, replicas[0], start("u"), generation("u", 1))
					store.down.Store(true)
					begin := time.Now()
					if err := end(replicas[0], t.Context(), generation("u", 1)); err != nil {
						t.Error(err)
					}
					if took := time.Since(begin); took > time.Second {
						t.Errorf("the user waits for %v", took)
					}
					<-time.After(away)
					store.down.Store(false)
					<-time.After(time.Second)
					if _, err := replicas[1].Refresh(t.Context(), generation("u", 1)); !errors.Is(err, refresh.ErrEnded) {
						t.Errorf("the other replica says %v, want that the login was ended", err)
					}
				})
			})
		}
	}
}

// Who signed out while the store was away has not the newest tokens: another
// replica had exchanged them. Those are revoked when that is known.
func TestASignOutWhileTheStoreIsAwayRevokesTheNewest(t *testing.T) {
	p := new(strict)
	replicated(t, 2, p, func(t *testing.T, store *flaky, replicas []*refresh.Coordinator) {
		mustRefresh(t, replicas[0], start("u"), generation("u", 1))
		mustRefresh(t, replicas[1], generation("u", 1), generation("u", 2))
		store.down.Store(true)
		if err := replicas[0].Revoke(t.Context(), generation("u", 1)); err != nil {
			t.Error(err)
		}
		<-time.After(2 * time.Second)
		store.down.Store(false)
		<-time.After(time.Second)
		p.mu.Lock()
		defer p.mu.Unlock()
		if n := len(p.revoked); n != 2 || p.revoked[1] != generation("u", 2).Refresh {
			t.Errorf("revoked: %q", p.revoked)
		}
	})
}

// Of a provider that does not rotate, the result of the exchange before stands under
// the same refresh token. It is no answer to the question that has followed.
func TestWhatHasJustBeenExchangedIsNoSiblingsAnswer(t *testing.T) {
	var n atomic.Int64
	p := refresh.Func(func(context.Context, refresh.Tokens) (refresh.Tokens, error) {
		return refresh.Tokens{Access: fmt.Sprint("a", n.Add(1)), Refresh: "r"}, nil
	})
	replicated(t, 2, p, func(t *testing.T, store *flaky, replicas []*refresh.Coordinator) {
		one, err := replicas[0].Refresh(t.Context(), refresh.Tokens{Access: "a0", Refresh: "r"})
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Second)
		store.down.Store(true)
		two, err := replicas[0].Refresh(t.Context(), one) // as after a handler's 401
		if err != nil || two.Access != "a2" {
			t.Fatalf("%s, %v", two.Access, err)
		}
		store.down.Store(false)
		<-time.After(2 * time.Second)
		for i, c := range replicas {
			if got, err := c.Refresh(t.Context(), one); err != nil || got.Access != "a2" {
				t.Errorf("replica %d gives %s for the first, %v; want what it was exchanged for", i, got.Access, err)
			}
		}
		for i, c := range replicas {
			if got, err := c.Refresh(t.Context(), two); err != nil || got.Access != "a3" {
				t.Errorf("replica %d gives %s for the second, %v; want new ones", i, got.Access, err)
			}
		}
	})
}

// A refusal that another replica's call explains is waited with, until that is over.
func TestPromise02ARefusalBesideAnothersCallWaitsForIt(t *testing.T) {
	var n atomic.Int64
	p := refresh.Func(func(context.Context, refresh.Tokens) (refresh.Tokens, error) {
		if n.Add(1) == 1 {
			<-time.After(4 * time.Second) // it has decided, and its answer is slow
			return generation("u", 1), nil
		}
		<-time.After(400 * time.Millisecond)
		return refresh.Tokens{}, fmt.Errorf("%w: it has been used", refresh.ErrDenied)
	})
	replicated(t, 2, p, func(t *testing.T, store *flaky, replicas []*refresh.Coordinator) {
		first := make(chan error, 1)
		go func() {
			_, err := replicas[0].Refresh(t.Context(), start("u"))
			first <- err
		}()
		<-time.After(100 * time.Millisecond)
		store.down.Store(true)
		time.AfterFunc(2700*time.Millisecond, func() { store.down.Store(false) })
		mustRefresh(t, replicas[1], start("u"), generation("u", 1))
		if err := <-first; err != nil {
			t.Error(err)
		}
		if calls := n.Load(); calls != 2 {
			t.Errorf("%d calls, want that both have asked", calls)
		}
	})
}
