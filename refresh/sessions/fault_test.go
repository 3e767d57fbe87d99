package sessions_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
	"github.com/tokenlife/tokenlife/refresh/sessions"
)

// failAt makes the nth call of store from now on fail, before or after it has
// happened.
func failAt(store *refreshtest.FaultyStore, n int, happened bool) {
	var calls atomic.Int64
	store.Intercept(func(_ context.Context, _ refreshtest.StoreCall, do func() (bool, error)) error {
		fails := calls.Add(1) == int64(n)
		if fails && !happened {
			return refreshtest.ErrStoreDown
		}
		_, err := do()
		if fails {
			return refreshtest.ErrStoreDown
		}
		return err
	})
}

func TestNoFailureOfTheStoreLosesALogin(t *testing.T) {
	for _, happened := range []bool{false, true} {
		for _, comeback := range []string{"at the same replica", "at another replica", "after a restart of all"} {
			for n := 1; n <= 20; n++ {
				synctest.Test(t, func(t *testing.T) {
					name := fmt.Sprintf("call %d fails, having happened: %t, and the client comes back %s", n, happened, comeback)
					w := newWorld(t)
					s, other := w.replica(), w.replica()
					tok := w.start(s, alice)
					failAt(w.store, n, happened)
					next, err := s.Refresh(t.Context(), tok)
					if err != nil {
						if !errors.Is(err, refreshtest.ErrStoreDown) || errors.Is(err, refresh.ErrDenied) {
							t.Fatalf("%s: error is %v, want the store's", name, err)
						}
						time.Sleep(time.Second)
						switch comeback {
						case "at another replica":
							s = other
						case "after a restart of all":
							s = w.replica()
						}
						// A claim that was written, and whose owner does not know
						// of it, has to run out.
						for range 20 {
							if next, err = s.Refresh(t.Context(), tok); err == nil {
								break
							}
							if errors.Is(err, refresh.ErrDenied) {
								t.Fatalf("%s: %v", name, err)
							}
							time.Sleep(time.Second)
						}
						if err != nil {
							t.Fatalf("%s: %v", name, err)
						}
					}
					w.store.Intercept(nil)
					if again := w.refresh(other, tok); again != next {
						t.Errorf("%s: later it gets another successor", name)
					}
					time.Sleep(time.Minute)
					w.refresh(other, next)
					if _, reuses, _ := w.provider.counts(); reuses != 0 {
						t.Errorf("%s: the provider saw a reuse", name)
					}
				})
			}
		}
	}
}

func TestAStartThatFailsLeavesNothing(t *testing.T) {
	for _, happened := range []bool{false, true} {
		for n := 1; n <= 8; n++ {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				s := w.replica()
				failAt(w.store, n, happened)
				tok, err := s.Start(t.Context(), w.provider.login("alice"), alice)
				w.store.Intercept(nil)
				time.Sleep(2 * time.Minute)
				logins, listErr := s.List(t.Context(), alice.Issuer, alice.Subject)
				if listErr != nil {
					t.Fatal(listErr)
				}
				if err != nil {
					if !errors.Is(err, refreshtest.ErrStoreDown) || len(logins) != 0 {
						t.Errorf("call %d: %v, and %d logins", n, err, len(logins))
					}
					return
				}
				w.refresh(s, tok)
				if len(logins) != 1 {
					t.Errorf("call %d: it started and %d logins are listed", n, len(logins))
				}
			})
		}
	}
}

func TestADeadStoreEndsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.replica()
		tok := w.start(s, alice)
		token := w.access(s, tok)
		w.store.SetDown(true)
		_, refreshed := s.Refresh(t.Context(), tok)
		_, started := s.Start(t.Context(), w.provider.login("bob"), alice)
		_, listed := s.List(t.Context(), alice.Issuer, alice.Subject)
		for name, err := range map[string]error{
			"Refresh": refreshed, "Start": started, "List": listed,
			"Revoke":  s.Revoke(t.Context(), tok),
			"End":     s.End(t.Context(), alice.Issuer, alice.Subject, sessions.ID(tok)),
			"EndAll":  s.EndAll(t.Context(), alice.Issuer, alice.Subject),
			"LogOut":  s.LogOut(t.Context(), alice.Issuer, "", alice.Session, time.Now()),
			"Arrived": s.Arrived(t.Context(), tok.Access),
		} {
			if !errors.Is(err, refreshtest.ErrStoreDown) || errors.Is(err, refresh.ErrDenied) || !strings.HasPrefix(err.Error(), "sessions: ") {
				t.Errorf("%s: error is %v, want the store's", name, err)
			}
		}
		for range 5 {
			time.Sleep(time.Hour)
			if got := w.access(s, tok); got != token {
				t.Error("the access token that is known is another")
			}
		}
		if _, err := w.replica().Access(t.Context(), tok.Access); !errors.Is(err, refreshtest.ErrStoreDown) || errors.Is(err, refresh.ErrNotFound) {
			t.Errorf("at a replica that does not know it: %v", err)
		}
		w.store.SetDown(false)
		w.refresh(s, tok)
	})
}

func TestAProviderInTroubleEndsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.replica()
		tok := w.start(s, alice)
		trouble := errors.New("503")
		w.provider.fails = func() error { return trouble }
		for range 3 {
			if _, err := s.Refresh(t.Context(), tok); !errors.Is(err, trouble) || errors.Is(err, refresh.ErrDenied) {
				t.Errorf("error is %v, want the provider's", err)
			}
			time.Sleep(time.Minute)
		}
		w.provider.fails = nil
		next := w.refresh(s, tok)
		w.access(s, next)
		if got := w.kinds(); got != "" {
			t.Errorf("events: %s", got)
		}
	})
}

func TestAProvidersRefusalEndsTheLogin(t *testing.T) {
	w := newWorld(t)
	s := w.replica()
	tok := w.start(s, alice)
	other := w.start(s, alice)
	w.provider.fails = func() error { return fmt.Errorf("invalid_grant: %w", refresh.ErrDenied) }
	w.denied(s, tok, "refused")
	w.provider.fails = nil
	w.denied(s, tok, "afterwards")
	if _, err := s.Access(t.Context(), tok.Access); !errors.Is(err, refresh.ErrNotFound) {
		t.Errorf("its access token: %v", err)
	}
	w.refresh(s, other)
	if got := w.kinds(); got != "login_denied" {
		t.Errorf("events are %q, want one", got)
	}
	if calls, _, _ := w.provider.counts(); calls != 2 {
		t.Errorf("the provider was asked %d times, want 2", calls)
	}
}

func TestALoginWithoutARefreshTokenIsTheRefreshers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.replica(func(s *sessions.Sessions) {
			s.Refresher = refresh.Func(func(_ context.Context, old refresh.Tokens) (refresh.Tokens, error) {
				if old.ID != "id" {
					t.Errorf("after %q the ID token is %q", old.Access, old.ID)
				}
				return refresh.Tokens{Access: old.Access + "+", Expiry: time.Now().Add(time.Minute)}, nil
			})
		})
		tok, err := s.Start(t.Context(), refresh.Tokens{Access: "token", ID: "id"}, alice)
		if err != nil {
			t.Fatal(err)
		}
		next := w.refresh(s, tok)
		if got := w.access(s, next); got != "token+" {
			t.Errorf("the next token is %q", got)
		}
		if w.refresh(s, tok) != next {
			t.Error("the handle before gets another successor")
		}
		w.refresh(s, next)
	})
}
