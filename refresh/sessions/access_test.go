package sessions_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
	"github.com/tokenlife/tokenlife/refresh/sessions"
)

func TestAnAccessTokenIsReadOnceInARememberedTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		tok := w.start(w.replica(), alice)
		s := w.replica()
		token := w.access(s, tok)
		before := reads(w.store)
		for range 100 {
			time.Sleep(99 * time.Millisecond)
			if w.access(s, tok) != token {
				t.Fatal("it stands for another token")
			}
		}
		if n := reads(w.store) - before; n != 0 {
			t.Errorf("%d reads within ten seconds, want none", n)
		}
		time.Sleep(time.Second)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { w.access(s, tok) })
		}
		wg.Wait()
		if n := reads(w.store) - before; n != 1 {
			t.Errorf("%d reads after ten seconds, want 1", n)
		}
	})
}

func TestAnEndedLoginsAccessTokenIsForgotten(t *testing.T) {
	for name, end := range map[string]func(*sessions.Sessions, *testing.T, refresh.Tokens) error{
		"Revoke": func(s *sessions.Sessions, t *testing.T, tok refresh.Tokens) error { return s.Revoke(t.Context(), tok) },
		"EndAll": func(s *sessions.Sessions, t *testing.T, _ refresh.Tokens) error {
			return s.EndAll(t.Context(), alice.Issuer, alice.Subject)
		},
		"LogOut": func(s *sessions.Sessions, t *testing.T, _ refresh.Tokens) error {
			return s.LogOut(t.Context(), alice.Issuer, alice.Subject, alice.Session, time.Now())
		},
		"End": func(s *sessions.Sessions, t *testing.T, tok refresh.Tokens) error {
			return s.End(t.Context(), alice.Issuer, alice.Subject, sessions.ID(tok))
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			s, other := w.replica(), w.replica()
			tok := w.start(s, alice)
			w.access(s, tok)
			w.access(other, tok)
			if err := end(s, t, tok); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Access(t.Context(), tok.Access); !errors.Is(err, refresh.ErrNotFound) {
				t.Errorf("%s: where it was ended: %v, want ErrNotFound", name, err)
			}
			time.Sleep(sessions.DefaultCacheFor)
			if _, err := other.Access(t.Context(), tok.Access); !errors.Is(err, refresh.ErrNotFound) {
				t.Errorf("%s: elsewhere after the time it is remembered: %v, want ErrNotFound", name, err)
			}
			w.denied(other, tok, name)
		})
	}
}

func TestTheTwoNewestAccessTokensAreFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.replica()
		tokens := []refresh.Tokens{w.start(s, alice)}
		for range 3 {
			time.Sleep(time.Hour)
			tokens = append(tokens, w.refresh(s, tokens[len(tokens)-1]))
		}
		time.Sleep(time.Hour)
		for i, tok := range tokens {
			_, err := w.replica().Access(t.Context(), tok.Access)
			if found := err == nil; found != (i >= 2) || !found && !errors.Is(err, refresh.ErrNotFound) {
				t.Errorf("number %d of 4: %v", i+1, err)
			}
		}
	})
}

func TestAnAccessHandleNeedsItsSecret(t *testing.T) {
	w := newWorld(t)
	s := w.replica()
	tok, other := w.start(s, alice), w.start(s, alice)
	for name, forged := range map[string]string{
		"another login's secret": tok.Access[:22] + other.Access[22:],
		"no such login":          other.Access[22:44] + tok.Access[22:],
		"the name alone":         tok.Access[:22],
		"a line break":           tok.Access[:22] + "\n" + tok.Access[23:],
	} {
		if _, err := s.Access(t.Context(), forged); !errors.Is(err, refresh.ErrNotFound) {
			t.Errorf("%s: %v, want ErrNotFound", name, err)
		} else {
			silent(t, "an error", err.Error(), tok.Access, other.Access)
		}
	}
	w.access(s, tok)
}

func TestARevokedLoginIsNotRememberedAgain(t *testing.T) {
	w := newWorld(t)
	s := w.replica()
	tok := w.start(s, alice)
	fresh := w.replica()
	// The login ends after it has been read, and before it is remembered.
	var done atomic.Bool
	w.store.Intercept(func(_ context.Context, c refreshtest.StoreCall, do func() (bool, error)) error {
		_, err := do()
		if !c.Swap && c.Key == refresh.StoreKey("sessions.login", sessions.ID(tok)) && done.CompareAndSwap(false, true) {
			if err := fresh.Revoke(t.Context(), tok); err != nil {
				t.Error(err)
			}
		}
		return err
	})
	_, _ = fresh.Access(t.Context(), tok.Access)
	if _, err := fresh.Access(t.Context(), tok.Access); !errors.Is(err, refresh.ErrNotFound) {
		t.Errorf("after the end: %v, want ErrNotFound", err)
	}
}

// With ShowAccess, what tells of an arrival is kept until then and no longer: a
// store in memory has room for so many values, and the oldest make way. Claims
// lapse within seconds.
func TestALoginInUseLeavesNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.replica(func(s *sessions.Sessions) { s.ShowAccess = true })
		tok, err := s.Start(t.Context(), w.provider.login("alice"), alice)
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			tok = w.refresh(s, tok)
			for range 2 { // by two replicas
				if err := s.Arrived(t.Context(), tok.Access); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		check := func(kind string) {
			t.Helper()
			left := make(map[string]bool)
			for _, c := range w.written() {
				if _, err := w.store.Get(t.Context(), c.Key); err == nil && strings.HasPrefix(c.Key, kind) {
					left[c.Key] = true
				}
			}
			if len(left) != 3 { // the login and its two lists
				t.Errorf("the store holds %d values of one login: %v", len(left), left)
			}
		}
		check("sessions.")
		time.Sleep(4 * time.Second)
		check("")
	})
}

// A sign-out finds the ID token by whatever handle its browser has, as long as
// that is good.
func TestTheIDTokenOfALogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s, other := w.replica(), w.replica()
		old := w.start(s, alice)
		id := func(s *sessions.Sessions, handle string) string {
			got, err := s.IDToken(t.Context(), handle)
			if err != nil {
				t.Error(err)
			}
			return got
		}
		next, err := s.Refresh(t.Context(), old)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range []*sessions.Sessions{s, other} {
			for name, handle := range map[string]string{"the current handle": next.Refresh, "the one before": old.Refresh} {
				if got := id(at, handle); !strings.HasPrefix(got, "provider-id-token-") {
					t.Errorf("%s: %q", name, got)
				}
			}
			for name, handle := range map[string]string{"nothing": "", "no handle": "x", "an access handle": next.Access, "another's": old.Refresh[:len(old.Refresh)-8] + "AAAAAAAA"} {
				if got := id(at, handle); got != "" {
					t.Errorf("%s: %q, want none", name, got)
				}
			}
		}
		if err := s.Arrived(t.Context(), next.Access); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if got := id(other, old.Refresh); got != "" {
			t.Errorf("a handle that is no longer good: %q", got)
		}
		if err := other.Revoke(t.Context(), next); err != nil {
			t.Fatal(err)
		}
		if got := id(s, next.Refresh); got != "" {
			t.Errorf("after a sign-out: %q", got)
		}
	})
}
