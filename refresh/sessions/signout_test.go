package sessions_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
	"github.com/tokenlife/tokenlife/refresh/sessions"
)

func TestALogoutInMidRefreshWins(t *testing.T) {
	for _, elsewhere := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.provider.delay = time.Second
			s := w.replica()
			tok := w.start(s, alice)
			at := s
			if elsewhere {
				at = w.replica()
			}
			go func() {
				time.Sleep(500 * time.Millisecond)
				if err := at.Revoke(t.Context(), tok); err != nil {
					t.Error(err)
				}
			}()
			if _, err := s.Refresh(t.Context(), tok); !errors.Is(err, refresh.ErrEnded) {
				t.Errorf("error is %v, want ErrEnded", err)
			}
			time.Sleep(time.Minute)
			_, err := s.Refresh(t.Context(), tok)
			if !errors.Is(err, refresh.ErrDenied) || errors.Is(err, refresh.ErrEnded) {
				t.Errorf("long after it: %v, want ErrDenied alone", err)
			}
			if _, _, revoked := w.provider.counts(); revoked != 1 {
				t.Errorf("revoked %d times at the provider, want 1", revoked)
			}
			if got := w.kinds(); got != "" {
				t.Errorf("events: %s", got)
			}
		})
	}
}

// A result is in the Store, and its flight has not landed yet, when the user signs
// out here. A caller that comes after that gets nothing.
func TestALogoutAfterTheResultWinsToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.replica(func(s *sessions.Sessions) { s.ShowAccess = true })
		tok := w.start(s, alice)
		w.store.Intercept(func(_ context.Context, c refreshtest.StoreCall, do func() (bool, error)) error {
			if strings.HasPrefix(c.Key, "sessions.arrival.") {
				time.Sleep(100 * time.Millisecond)
			}
			_, err := do()
			return err
		})
		go func() { _, _ = s.Refresh(t.Context(), tok) }()
		time.Sleep(50 * time.Millisecond)
		if err := s.Revoke(t.Context(), tok); err != nil {
			t.Error(err)
		}
		w.denied(s, tok, "signed out")
	})
}

// A user signs out, here or elsewhere, at any step of a refresh. The login is over
// for good, and so is the newest refresh token at the provider.
func TestALogoutAtAnyStepOfARefreshWins(t *testing.T) {
	for step := 1; step <= 7; step++ {
		for _, happened := range []bool{false, true} {
			for _, elsewhere := range []bool{false, true} {
				t.Run(fmt.Sprintf("step %d, which happened: %t, elsewhere: %t", step, happened, elsewhere), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						w := newWorld(t)
						s, other := w.replica(), w.replica()
						tok := w.start(s, alice)
						time.Sleep(time.Minute)
						at := s
						if elsewhere {
							at = other
						}
						signOut := func() {
							w.store.Intercept(nil)
							if err := at.Revoke(t.Context(), tok); err != nil {
								t.Error(err)
							}
						}
						var calls atomic.Int64
						w.store.Intercept(func(_ context.Context, _ refreshtest.StoreCall, do func() (bool, error)) error {
							now := calls.Add(1) == int64(step)
							if now && !happened {
								signOut()
							}
							_, err := do()
							if now && happened {
								signOut()
							}
							return err
						})
						next, err := s.Refresh(t.Context(), tok)
						w.store.Intercept(nil)
						if calls.Load() < int64(step) {
							signOut()
						} else if err != nil && !errors.Is(err, refresh.ErrDenied) {
							t.Errorf("error is %v", err)
						}
						for _, r := range []*sessions.Sessions{s, other} {
							w.denied(r, tok, "signed out")
							if err == nil {
								w.denied(r, next, "signed out")
							}
						}
						time.Sleep(time.Minute)
						for _, g := range w.provider.grants {
							if !g.over {
								t.Errorf("the provider's %s goes on", g.current)
							}
						}
					})
				})
			}
		}
	}
}

// A login is ended elsewhere while this replica reads its record for long. The
// provider is not asked any more.
func TestTheProviderIsNotAskedForALoginThatHasEndedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		way := &refreshtest.FaultyStore{Store: w.store}
		s, other := w.replica(func(s *sessions.Sessions) { s.Store = way }), w.replica()
		tok := w.start(s, alice)
		time.Sleep(time.Minute)
		time.AfterFunc(time.Second, func() { _ = other.EndAll(t.Context(), alice.Issuer, alice.Subject) })
		way.Intercept(func(_ context.Context, c refreshtest.StoreCall, do func() (bool, error)) error {
			way.Intercept(nil)
			_, err := do()
			time.Sleep(2 * time.Second)
			return err
		})
		w.denied(s, tok, "ended")
		w.asked(0)
	})
}

func TestWhatComesForALoginThatIsReplacedIsNotRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.replica(func(s *sessions.Sessions) { s.Refresher = slowAnswer{w.provider, time.Second} })
		tok := w.start(s, alice)
		time.AfterFunc(500*time.Millisecond, func() { _ = s.Replaced(t.Context(), tok) })
		w.denied(s, tok, "replaced")
		if len(w.provider.taken()) != 0 {
			t.Errorf("revoked: %q", w.provider.taken())
		}
	})
}

// What this process knows of a login goes with its end.
func TestALoginThatHasJustBeenRefreshedIsEnded(t *testing.T) {
	w := newWorld(t)
	s := w.replica()
	next := w.refresh(s, w.start(s, alice))
	if err := s.EndAll(t.Context(), alice.Issuer, alice.Subject); err != nil {
		t.Fatal(err)
	}
	w.denied(s, next, "ended")
	w.asked(1)
	for _, c := range w.written() {
		if c.TTL > sessions.DefaultAbsolute {
			t.Errorf("a value stays for %v", c.TTL)
		}
	}
}

func TestAnEndThatWasSeenHoldsWhileTheStoreIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.replica()
		tok := w.start(s, alice)
		w.access(s, tok)
		if err := w.replica().EndAll(t.Context(), alice.Issuer, alice.Subject); err != nil {
			t.Fatal(err)
		}
		time.Sleep(sessions.DefaultCacheFor)
		if _, err := s.Access(t.Context(), tok.Access); !errors.Is(err, refresh.ErrNotFound) {
			t.Errorf("error is %v, want ErrNotFound", err)
		}
		w.store.SetDown(true)
		if got, err := s.Access(t.Context(), tok.Access); err == nil {
			t.Errorf("the ended login has the access token %q", got)
		}
	})
}

// A user who signs out while the Store is away does not leave the new tokens alive.
func TestAResultThatIsNotWrittenIsRevokedWithItsLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.replica()
		tok := w.start(s, alice)
		w.provider.after = func() error { w.store.SetDown(true); return nil }
		_, _ = s.Refresh(t.Context(), tok)
		time.Sleep(time.Minute)
		w.store.SetDown(false)
		if err := s.Revoke(t.Context(), tok); err != nil {
			t.Error(err)
		}
		if _, _, revoked := w.provider.counts(); revoked != 1 {
			t.Errorf("%d logins were revoked at the provider, want 1", revoked)
		}
		if !slices.Contains(w.provider.taken(), "provider-refresh-token-alice-2") {
			t.Errorf("the new tokens were not revoked, but %q", w.provider.taken())
		}
		w.denied(s, tok, "signed out")
	})
}

func TestWhatComesAfterALogoutIsRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.replica(func(s *sessions.Sessions) { s.Refresher = slowAnswer{w.provider, time.Second} })
		tok := w.start(s, alice)
		time.AfterFunc(500*time.Millisecond, func() { _ = w.replica().EndAll(t.Context(), alice.Issuer, alice.Subject) })
		w.denied(s, tok, "signed out")
		if !slices.Contains(w.provider.taken(), "provider-refresh-token-alice-2") {
			t.Errorf("the new tokens were not revoked, but %q", w.provider.taken())
		}
	})
}
