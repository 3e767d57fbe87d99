package sessions_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
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

// ops returns a function that returns what the store has been asked since its last
// call.
func ops(w *world) func() string {
	gets, swaps := w.store.Count()
	return func() string {
		synctest.Wait()
		beforeGets, beforeSwaps := gets, swaps
		gets, swaps = w.store.Count()
		return fmt.Sprintf("%d gets, %d swaps", gets-beforeGets, swaps-beforeSwaps)
	}
}

func TestWhatARefreshAsksOfItsStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.provider.delay = time.Second
		s, other := w.replica(), w.replica()
		tok := w.start(s, alice)
		time.Sleep(time.Minute)
		asked := ops(w)
		check := func(what, want string) {
			t.Helper()
			if got := asked(); got != want {
				t.Errorf("%s: %s, want %s", what, got, want)
			}
		}
		next := w.refresh(s, tok)
		check("a refresh", "1 gets, 2 swaps")
		if err := s.Arrived(t.Context(), next.Access); err != nil {
			t.Error(err)
		}
		check("the arrival where it was refreshed", "0 gets, 1 swaps")
		w.refresh(s, tok)
		check("the old handle", "1 gets, 0 swaps")
		time.Sleep(time.Minute)
		next = w.refresh(s, next)
		asked()
		if err := other.Arrived(t.Context(), next.Access); err != nil {
			t.Error(err)
		}
		check("the arrival elsewhere", "1 gets, 1 swaps")
		time.Sleep(time.Minute)
		w.access(s, next)
		asked()
		next = w.refresh(s, next)
		check("a refresh of what has been read", "0 gets, 2 swaps")
		w.provider.delay = 2 * time.Second
		time.Sleep(time.Minute)
		w.refresh(s, next)
		check("a refresh that takes longer", "1 gets, 3 swaps")
		for _, unknown := range []string{strings.Repeat("A", 68) + "A", "handle"} {
			if _, err := s.Refresh(t.Context(), refresh.Tokens{Refresh: unknown}); !errors.Is(err, refresh.ErrDenied) {
				t.Errorf("a handle that is none: %v", err)
			}
			_ = s.Revoke(t.Context(), refresh.Tokens{Refresh: unknown})
			_ = s.Arrived(t.Context(), unknown)
		}
		if got := asked(); !strings.HasSuffix(got, " 0 swaps") {
			t.Errorf("for handles of no login: %s, want no writes", got)
		}
	})
}

// asked checks how often the provider was asked, and that no refresh token came twice.
func (w *world) asked(want int) {
	w.t.Helper()
	if calls, reuses, _ := w.provider.counts(); calls != want || reuses != 0 {
		w.t.Errorf("the provider saw %d calls and %d reuses, want %d and none", calls, reuses, want)
	}
}

func TestAResultOutlivesItsCaller(t *testing.T) {
	for name, tt := range map[string]struct {
		delay, leaves time.Duration
	}{
		"the client hangs up":                {time.Second, 100 * time.Millisecond},
		"the answer comes after its Timeout": {9 * time.Second, time.Hour},
	} {
		for _, elsewhere := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.provider.delay = tt.delay
				s, other := w.replica(), w.replica()
				tok := w.start(s, alice)
				ctx, cancel := context.WithTimeout(t.Context(), tt.leaves)
				defer cancel()
				begin := time.Now()
				if _, err := s.Refresh(ctx, tok); err == nil || errors.Is(err, refresh.ErrDenied) || !strings.HasPrefix(err.Error(), "sessions: ") {
					t.Errorf("%s: error is %v, want one that is temporary", name, err)
				}
				if took := time.Since(begin); took != min(tt.leaves, refresh.DefaultTimeout) {
					t.Errorf("%s: it waited %v", name, took)
				}
				if elsewhere {
					s = other
				}
				next := w.refresh(s, tok) // waits for the same call
				if again := w.refresh(other, tok); again != next {
					t.Errorf("%s: it gets another successor", name)
				}
				w.asked(1)
			})
		}
	}
}

// An outage begins when the provider has been asked, and lasts.
func TestAResultOutlivesAnOutageOfTheStore(t *testing.T) {
	for _, lasts := range []time.Duration{time.Second, 14 * time.Second, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			s := w.replica()
			tok := w.start(s, alice)
			w.provider.after = func() error { w.store.SetDown(true); return nil }
			time.AfterFunc(lasts, func() { w.store.SetDown(false) })
			_, err := s.Refresh(t.Context(), tok)
			if lasts > refresh.DefaultTimeout && (!errors.Is(err, refreshtest.ErrStoreDown) || errors.Is(err, refresh.ErrDenied)) || lasts == time.Second && err != nil {
				t.Errorf("%v: error is %v", lasts, err)
			}
			w.provider.after = nil
			time.Sleep(lasts + time.Second)
			next := w.refresh(s, tok)
			w.asked(1)
			if got := w.access(w.replica(), next); !strings.Contains(got, "alice-2") {
				t.Errorf("%v: the access token is %q", lasts, got)
			}
			w.refresh(s, next)
		})
	}
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
		if !slices.Contains(w.provider.tokens, "provider-refresh-token-alice-2") {
			t.Errorf("the new tokens were not revoked, but %q", w.provider.tokens)
		}
		w.denied(s, tok, "signed out")
	})
}

func TestTheProviderIsNotAskedWithoutAClaim(t *testing.T) {
	for _, happened := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			s := w.replica()
			tok := w.start(s, alice)
			w.store.Intercept(func(_ context.Context, c refreshtest.StoreCall, do func() (bool, error)) error {
				if c.Swap {
					w.store.SetDown(true)
				}
				if c.Swap && !happened {
					return refreshtest.ErrStoreDown
				}
				_, err := do()
				return err
			})
			time.Sleep(time.Minute) // nothing is known of the login without the store
			if _, err := s.Refresh(t.Context(), tok); !errors.Is(err, refreshtest.ErrStoreDown) || errors.Is(err, refresh.ErrDenied) {
				t.Errorf("error is %v, want the store's", err)
			}
			w.asked(0)
			w.store.Intercept(nil)
			w.store.SetDown(false)
			begin, other := time.Now(), w.replica()
			for _, err := other.Refresh(t.Context(), tok); err != nil; _, err = other.Refresh(t.Context(), tok) {
				if took := time.Since(begin); took > 5*time.Second {
					t.Fatalf("a claim that nobody knows of stood for %v: %v", took, err)
				}
			}
			w.asked(1)
		})
	}
}

func TestALostAnswerIsAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var asked []time.Duration
		begin := time.Now()
		answer := refresh.Tokens{Access: "access-2", Refresh: "refresh-2"}
		s := w.replica(func(s *sessions.Sessions) {
			s.Refresher = refresh.Func(func(context.Context, refresh.Tokens) (refresh.Tokens, error) {
				if asked = append(asked, time.Since(begin)); len(asked) < 3 {
					return refresh.Tokens{}, fmt.Errorf("reset: %w", refresh.ErrNoAnswer)
				}
				return answer, nil
			})
		})
		tok, err := s.Start(t.Context(), refresh.Tokens{Access: "access-1", Refresh: "refresh-1"}, alice)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Refresh(t.Context(), tok); !errors.Is(err, refresh.ErrNoAnswer) || errors.Is(err, refresh.ErrDenied) {
			t.Errorf("error is %v, want ErrNoAnswer", err)
		}
		time.Sleep(10 * time.Second) // nobody comes
		synctest.Wait()
		if len(asked) != 3 || asked[2] < time.Second || asked[2] > 3*time.Second {
			t.Fatalf("asked after %v", asked)
		}
		if got := w.access(s, w.refresh(s, tok)); got != answer.Access || len(asked) != 3 {
			t.Errorf("the access token is %q, asked after %v", got, asked)
		}
	})
}

func TestAClaimIsKeptWhileItsCallRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.provider.delay = 9 * time.Second
		s, other := w.replica(), w.replica()
		tok := w.start(s, alice)
		var wg sync.WaitGroup
		for i, r := range []*sessions.Sessions{s, other, s, other} {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 2 * time.Second)
				_, _ = r.Refresh(t.Context(), tok)
			})
		}
		wg.Wait()
		w.refresh(other, tok)
		w.asked(1)
	})
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

// A slowAnswer is a provider whose answers are under way for a time.
type slowAnswer struct {
	*provider
	takes time.Duration
}

func (p slowAnswer) Refresh(ctx context.Context, old refresh.Tokens) (refresh.Tokens, error) {
	next, err := p.provider.Refresh(ctx, old)
	<-time.After(p.takes)
	return next, err
}

func TestWhatComesAfterALogoutIsRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.replica(func(s *sessions.Sessions) { s.Refresher = slowAnswer{w.provider, time.Second} })
		tok := w.start(s, alice)
		time.AfterFunc(500*time.Millisecond, func() { _ = w.replica().EndAll(t.Context(), alice.Issuer, alice.Subject) })
		w.denied(s, tok, "signed out")
		if !slices.Contains(w.provider.tokens, "provider-refresh-token-alice-2") {
			t.Errorf("the new tokens were not revoked, but %q", w.provider.tokens)
		}
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
