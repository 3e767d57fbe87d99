package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/cookies"
	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/middlewaretest"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/event"
	"github.com/tokenlife/tokenlife/refresh/sessions"
)

// kinds is a hook that keeps the kinds of what it hears.
type kinds struct {
	mu    sync.Mutex
	heard []event.Kind
}

func (k *kinds) hear(_ context.Context, e event.Event) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.heard = append(k.heard, e.Kind)
}

func (k *kinds) all() []event.Kind {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Compact(slices.Sorted(slices.Values(k.heard)))
}

// oneOfEach has a login that is refreshed and whose first handle then comes back:
// an Auth, its Verifier, its Coordinator and its Sessions all have something to
// tell. The hook of the Auth is heard.
func oneOfEach(t *testing.T, heard event.Hook, change func(*verify.JWT, *refresh.Coordinator, *sessions.Sessions)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := middlewaretest.NewProvider(t)
		tokens, err := verify.New(p.Issuer())
		if err != nil {
			t.Fatal(err)
		}
		logins := &sessions.Sessions{Refresher: p, Store: new(refresh.MemoryStore)}
		coordinator := &refresh.Coordinator{Refresher: logins}
		if change != nil {
			change(tokens, coordinator, logins)
		}
		a := &middleware.Auth{Verifier: tokens, Refresher: coordinator, Observe: heard}
		stolen := httptest.NewRequest("GET", "https://app.test/", nil)
		middlewaretest.SignIn(a, stolen, p.Login(map[string]any{"sub": "ann"}))
		r := stolen.Clone(t.Context())
		for range 2 {
			<-time.After(10 * time.Minute)
			res := serve(a.Require(whoami), r)
			wantStatus(t, res, http.StatusOK)
			middlewaretest.Keep(r, res)
		}
		<-time.After(time.Hour)
		wantStatus(t, serve(a.Require(whoami), stolen), http.StatusUnauthorized)
		if err := errors.Join(a.Close(), coordinator.Close(), logins.Close(), tokens.Close()); err != nil {
			t.Error(err)
		}
	})
}

func TestOneHookHearsAllThatAnAuthUses(t *testing.T) {
	var k kinds
	oneOfEach(t, k.hear, nil)
	want := []event.Kind{
		event.Ended, event.HandleReused, event.KeysFetched, event.ProviderCalled,
		event.Refreshed, event.Refused, event.SignedIn, event.Verified,
	}
	if got := k.all(); !slices.Equal(got, want) {
		t.Errorf("heard %v, want %v", got, want)
	}
}

func TestWhatHasAnObserveOfItsOwnKeepsIt(t *testing.T) {
	var auth, keys, calls, ends kinds
	oneOfEach(t, auth.hear, func(j *verify.JWT, c *refresh.Coordinator, s *sessions.Sessions) {
		j.Observe, c.Observe, s.Observe = keys.hear, calls.hear, ends.hear
	})
	for _, tt := range []struct {
		name string
		k    *kinds
		want []event.Kind
	}{
		{"the Auth", &auth, []event.Kind{event.Ended, event.Refreshed, event.Refused, event.SignedIn, event.Verified}},
		{"the JWT", &keys, []event.Kind{event.KeysFetched}},
		{"the Coordinator", &calls, []event.Kind{event.ProviderCalled}},
		{"the Sessions", &ends, []event.Kind{event.HandleReused}},
	} {
		if got := tt.k.all(); !slices.Equal(got, tt.want) {
			t.Errorf("the hook of %s heard %v, want %v", tt.name, got, tt.want)
		}
	}
}

// An Auth whose Refresher is no Coordinator makes one, which nobody else can give
// a hook.
func TestTheCoordinatorOfAnAuthsOwnIsHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		b := w.signIn(t, "ann")
		<-time.After(life)
		wantStatus(t, b.do(w.Require(whoami), "GET", "/"), 200)
		closeWorld(t, w)
		if n := w.saw(event.ProviderCalled); n != 1 {
			t.Errorf("heard of %d calls, want 1", n)
		}
	})
}

// keyless has no time to fetch keys.
type keyless struct{ *checker }

func (keyless) VerifyExpired(ctx context.Context, _ string) (*verify.Token, error) {
	if ctx.Err() == nil {
		return nil, errors.New("test: an event waits for keys")
	}
	return nil, fmt.Errorf("test: %w", ctx.Err())
}

// Anybody can write an expired token of a stranger into a cookie: an event says
// whether the subject that it names has been signed by the issuer.
func TestAnEventMarksWhatNobodyHasVerified(t *testing.T) {
	ring, err := cookies.NewKeyRing([]byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	proves := func(a *middleware.Auth) { a.Verifier = prover{named{a.Verifier.(*checker), false}} }
	forge := func(b *browser) {
		b.jar["__Host-accessToken"] = stored{value: accessToken("ann", 99, time.Now().Add(-life))}
	}
	for _, tt := range []struct {
		name   string
		set    func(*middleware.Auth)
		forge  func(*browser)
		marked bool
	}{
		{"no Verifier of expired tokens", nil, nil, true},
		{"a token that the issuer has signed", proves, nil, false},
		{"a token that it has not", proves, forge, true},
		{"keys that have to be fetched", func(a *middleware.Auth) { a.Verifier = keyless{a.Verifier.(*checker)} }, nil, true},
		{"a sealed cookie", func(a *middleware.Auth) { a.Cookies.Keys = ring }, nil, false},
		{"a Keeper", func(a *middleware.Auth) { a.Refresher = &keeper{provider: a.Refresher.(*provider)} }, nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				if tt.set != nil {
					tt.set(w.Auth)
				}
				b := w.signIn(t, "ann")
				<-time.After(life)
				if tt.forge != nil {
					tt.forge(b)
				}
				old := b.request("POST", "/")
				ask := func(h http.Handler, change func(*provider)) {
					w.provider.set(change)
					serve(h, old.Clone(t.Context()))
				}
				ask(w.Require(whoami), func(p *provider) { p.err = errors.New("test: down") })
				ask(w.RefreshHandler(), func(p *provider) { p.err = fmt.Errorf("%w: test", refresh.ErrDenied) })
				<-time.After(time.Minute) // so long is the refusal not remembered
				ask(w.Require(whoami), func(p *provider) { p.err, p.as = nil, "bob" })
				ask(w.Logout(nil), func(*provider) {})
				closeWorld(t, w)

				told := map[event.Kind]bool{}
				for _, e := range w.events {
					switch e.Kind {
					case event.RefreshFailed, event.OtherSubject, event.Ended, event.SignedOut:
						told[e.Kind] = true
						if e.Subject != "ann" || e.Issuer != "https://issuer.test" || e.Unverified != tt.marked {
							t.Errorf("%s names %q of %q, unverified: %t, want %t", e.Kind, e.Subject, e.Issuer, e.Unverified, tt.marked)
						}
					}
				}
				if len(told) != 4 {
					t.Errorf("told %v, want one of each", told)
				}
			})
		})
	}
}

// What the user still signs out of has been verified.
func TestASignOutOfAGoodTokenIsVerified(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		b := w.signIn(t, "ann")
		b.do(w.Logout(nil), "POST", "/")
		closeWorld(t, w)
		e := w.events[len(w.events)-1]
		if e.Kind != event.SignedOut || e.Subject != "ann" || e.Unverified {
			t.Errorf("told %+v", e)
		}
	})
}

// A sign-out does not wait long for the name of whom it signs out.
func TestASignOutGoesOnWithoutAName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		b := w.signIn(t, "ann")
		w.Verifier = middleware.VerifierFunc(func(ctx context.Context, raw string) (*verify.Token, error) {
			if ctx.Err() == nil {
				<-ctx.Done()
			}
			return nil, ctx.Err()
		})
		begin := time.Now()
		wantStatus(t, b.do(w.Logout(nil), "POST", "/"), http.StatusNoContent)
		if took := time.Since(begin); took > time.Second {
			t.Errorf("it took %v", took)
		}
		closeWorld(t, w)
		if len(w.provider.revoked) != 1 {
			t.Errorf("%d logins were revoked at the provider, want 1", len(w.provider.revoked))
		}
		if e := w.events[len(w.events)-1]; e.Kind != event.SignedOut || e.Subject != "" || e.Unverified {
			t.Errorf("told %+v", e)
		}
	})
}
