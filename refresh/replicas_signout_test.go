package refresh_test

import (
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
