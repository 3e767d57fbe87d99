package sessions_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/sessions"
)

func TestSomethingElseInTheStoreIsNotALogout(t *testing.T) {
	w := newWorld(t)
	s := w.replica()
	tok := w.start(s, alice)
	key := refresh.StoreKey("sessions.login", sessions.ID(tok))
	old, err := w.store.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{"!", "{}", strings.Replace(string(old), `"sub":"alice"`, `"sub":"admin"`, 1)} {
		if ok, err := w.store.Swap(t.Context(), key, old, []byte(other), time.Hour); !ok || err != nil {
			t.Fatal(ok, err)
		}
		if _, err := s.Refresh(t.Context(), tok); err == nil || errors.Is(err, refresh.ErrDenied) {
			t.Errorf("error is %v, want one that is temporary", err)
		}
		if _, err := w.replica().Access(t.Context(), tok.Access); err == nil || errors.Is(err, refresh.ErrNotFound) {
			t.Errorf("error is %v, want one that is temporary", err)
		}
		old = []byte(other)
	}
}

// A Store that answers with an older record for once tells of no reuse.
func TestAnOldRecordIsNoReuse(t *testing.T) {
	w := newWorld(t)
	s := w.replica()
	tok := w.start(s, alice)
	key := refresh.StoreKey("sessions.login", sessions.ID(tok))
	old, err := w.store.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	tok = w.refresh(s, tok)
	w.refresh(w.replica(func(s *sessions.Sessions) { s.Store = &lagging{Store: w.store, old: old} }), tok)
	if got := w.kinds(); got != "" {
		t.Errorf("events: %s", got)
	}
}

// A lagging Store answers once with an old value.
type lagging struct {
	refresh.Store
	old []byte
}

func (s *lagging) Get(ctx context.Context, key string) ([]byte, error) {
	if v := s.old; v != nil {
		s.old = nil
		return v, nil
	}
	return s.Store.Get(ctx, key)
}

// A handle that a client has presented has arrived, whatever the provider says.
func TestAFailedRefreshTellsOfAnArrival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.replica()
		tok := w.start(s, alice)
		next := w.refresh(s, tok)
		w.provider.fails = func() error { return errors.New("503") }
		if _, err := s.Refresh(t.Context(), next); err == nil {
			t.Error("no error")
		}
		time.Sleep(refresh.DefaultGrace + time.Second)
		w.denied(s, tok, "replaced, and its successor has arrived")
		if got := w.kinds(); got != "handle_reused" {
			t.Errorf("events are %q", got)
		}
	})
}

func TestARefreshTokenThatIsNotRotatedKeepsItsExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.replica(func(s *sessions.Sessions) {
			s.Refresher = refresh.Func(func(context.Context, refresh.Tokens) (refresh.Tokens, error) {
				return refresh.Tokens{Access: "access-2"}, nil
			})
		})
		ends := time.Now().Add(time.Hour)
		tok, err := s.Start(t.Context(), refresh.Tokens{Access: "access-1", Refresh: "refresh-1", RefreshExpiry: ends}, alice)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if tok = w.refresh(s, tok); !tok.RefreshExpiry.Equal(ends) {
				t.Errorf("it ends in %v, want an hour", time.Until(tok.RefreshExpiry))
			}
		}
	})
}
