package sessions_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/sessions"
)

// A refresh token that came with an answer that cannot be used is kept in the
// login.
func TestPromise01AnUnusableAnswerCostsNoLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		errUnusable := errors.New("test: the answer cannot be used")
		first := true
		s := w.replica(func(s *sessions.Sessions) {
			s.Refresher = refresh.Func(func(ctx context.Context, old refresh.Tokens) (refresh.Tokens, error) {
				next, err := w.provider.Refresh(ctx, old)
				if first && err == nil {
					first = false
					return refresh.Tokens{Access: "nothing", Refresh: next.Refresh, Expiry: time.Now()}, errUnusable
				}
				return next, err
			})
		})
		tok, err := s.Start(t.Context(), w.provider.login("alice"), refresh.Identity{Issuer: "i", Subject: "alice"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Refresh(t.Context(), tok); !errors.Is(err, errUnusable) || errors.Is(err, refresh.ErrDenied) {
			t.Fatalf("error is %v, want that of the Refresher", err)
		}
		again, err := s.Refresh(t.Context(), tok)
		if err != nil || again.Refresh == tok.Refresh {
			t.Fatalf("again: %v, %v", again, err)
		}
		next, err := s.Refresh(t.Context(), again)
		if err != nil {
			t.Fatal(err)
		}
		access, err := s.Access(t.Context(), next.Access)
		if err != nil || access == "nothing" {
			t.Errorf("Access = %q, %v", access, err)
		}
		if calls, reuses, _ := w.provider.counts(); calls != 2 || reuses != 0 {
			t.Errorf("the provider saw %d calls and %d reuses, want 2 and none", calls, reuses)
		}
	})
}
