package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/cookies"
	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/refresh"
)

// A keeper is a [refresh.Keeper] of a provider's tokens.
type keeper struct {
	*provider

	mu      sync.Mutex
	down    bool
	n       int
	kept    map[string]refresh.Tokens // by either handle
	started []refresh.Identity
	ended   []string
	passed  []string // replaced by new sign-ins
}

func (k *keeper) hold(t refresh.Tokens) refresh.Tokens {
	k.n++
	h := refresh.Tokens{
		Access: fmt.Sprintf("handle-of-access-%d", k.n), Refresh: fmt.Sprintf("handle-of-refresh-%d", k.n), Expiry: t.Expiry,
	}
	if k.kept == nil {
		k.kept = make(map[string]refresh.Tokens)
	}
	k.kept[h.Access], k.kept[h.Refresh] = t, t
	return h
}

func (k *keeper) Start(_ context.Context, t refresh.Tokens, whose refresh.Identity) (refresh.Tokens, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.down {
		return refresh.Tokens{}, errors.New("test: the keeper is down")
	}
	k.started = append(k.started, whose)
	return k.hold(t), nil
}

func (k *keeper) Access(_ context.Context, handle string) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.down {
		return "", errors.New("test: the keeper is down")
	}
	t, ok := k.kept[handle]
	if !ok {
		return "", fmt.Errorf("test: %w", refresh.ErrNotFound)
	}
	return t.Access, nil
}

func (k *keeper) Refresh(ctx context.Context, old refresh.Tokens) (refresh.Tokens, error) {
	k.mu.Lock()
	t, ok := k.kept[old.Refresh]
	k.mu.Unlock()
	if !ok {
		return refresh.Tokens{}, refresh.ErrDenied
	}
	next, err := k.provider.Refresh(ctx, t)
	if err != nil {
		return refresh.Tokens{}, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.hold(next), nil
}

func (k *keeper) Revoke(_ context.Context, t refresh.Tokens) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ended = append(k.ended, t.Refresh)
	delete(k.kept, t.Access)
	delete(k.kept, t.Refresh)
	return nil
}

func (k *keeper) Replaced(ctx context.Context, t refresh.Tokens) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.passed = append(k.passed, t.Refresh)
	return ctx.Err()
}

func (k *keeper) set(f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f()
}

func newKeptWorld(set ...func(*middleware.Auth)) (*world, *keeper) {
	k := &keeper{}
	w := newWorld(append([]func(*middleware.Auth){func(a *middleware.Auth) { a.Refresher = k }}, set...)...)
	k.provider = w.provider
	return w, k
}

// seenBy answers with the headers that a handler gets.
var seenBy = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	fmt.Fprint(w, r.Header.Get("Authorization"))
})

func TestAKeepersLoginShowsTheBrowserHandlesAndTheHandlerTokens(t *testing.T) {
	for name, coordinated := range map[string]bool{"a bare keeper": false, "behind a Coordinator": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, k := newKeptWorld(func(a *middleware.Auth) {
					a.ForwardToken = true
					if coordinated {
						a.Refresher = &refresh.Coordinator{Refresher: a.Refresher}
					}
				})
				b := w.signIn(t, "ann")
				for _, path := range []struct {
					name string
					h    http.Handler
				}{{"Require", w.Require(seenBy)}, {"KeepAlive", w.KeepAlive(seenBy)}} {
					for range 2 {
						handle := b.get("__Host-accessToken")
						if !strings.HasPrefix(handle, "handle-of-access-") {
							t.Fatalf("%s: the browser holds no handle", path.name)
						}
						res := b.do(path.h, "GET", "/")
						wantStatus(t, res, 200)
						if got := body(t, res); !strings.HasPrefix(got, "Bearer ann~") {
							t.Errorf("%s: the handler sees a header of %d bytes, not the access token", path.name, len(got))
						}
						if got := body(t, b.do(path.h, "GET", "/")); !strings.HasPrefix(got, "Bearer ann~") {
							t.Errorf("%s: a second later the handler sees a header of %d bytes", path.name, len(got))
						}
						<-time.After(life + time.Second) // the next one is after a refresh
					}
				}
				wantStatus(t, b.do(w.RefreshHandler(), "POST", "/"), 204)
				if !strings.HasPrefix(b.get("__Host-refreshToken"), "handle-of-refresh-") {
					t.Error("the browser holds no handle after a refresh by a script")
				}
				if k.provider.reuse != 0 || k.provider.calls < 4 {
					t.Errorf("%d calls, %d reuses", k.provider.calls, k.provider.reuse)
				}
			})
		})
	}
}

func TestOnlyACookiesHandleStandsForAToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, k := newKeptWorld()
		b := w.signIn(t, "ann")
		handle := b.get("__Host-accessToken")
		real, err := k.Access(t.Context(), handle)
		if err != nil {
			t.Fatal(err)
		}
		for name, test := range map[string]struct {
			header, cookie string
			status         int
		}{
			"the handle in its cookie":             {"", handle, 200},
			"the handle as a bearer token":         {"Bearer " + handle, "", 401},
			"the token as a bearer token":          {"Bearer " + real, "", 200},
			"the token in the cookie":              {"", real, 401},
			"a handle that nobody has been given":  {"", "handle-of-access-77", 401},
			"the other handle of the same login":   {"", "handle-of-refresh-77", 401},
			"a handle in both, the header decides": {"Bearer " + handle, handle, 401},
		} {
			r := httptest.NewRequest("GET", "/", nil)
			if test.header != "" {
				r.Header.Set("Authorization", test.header)
			}
			if test.cookie != "" {
				r.AddCookie(&http.Cookie{Name: "__Host-accessToken", Value: test.cookie})
			}
			if res := serve(w.Require(whoami), r); res.StatusCode != test.status {
				t.Errorf("%s: answered %d, want %d", name, res.StatusCode, test.status)
			}
		}
	})
}

func TestAKeeperThatIsDownEndsNoLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, k := newKeptWorld()
		b := w.signIn(t, "ann")
		k.set(func() { k.down = true })
		res := b.do(w.Require(whoami), "GET", "/")
		wantStatus(t, res, 503)
		wantCookies(t, res, 0)
		k.set(func() { k.down = false })
		wantStatus(t, b.do(w.Require(whoami), "GET", "/"), 200)
		k.provider.expect(t, 0, 0)
	})
}

func TestAKeeperLearnsWhoseLoginBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, k := newKeptWorld()
		// {"sid":"session-1"} between two dots.
		const id = "e30.eyJzaWQiOiJzZXNzaW9uLTEifQ.c2ln"
		tokens := w.provider.login("ann")
		tokens.ID = id
		r := httptest.NewRequest("POST", "https://app.test/login", nil)
		r.Header.Set("User-Agent", "Browser/1.0\x00\n (\u202eX11)"+strings.Repeat("é", 200))
		if err := w.SignIn(httptest.NewRecorder(), r, tokens); err != nil {
			t.Fatal(err)
		}
		who := k.started[0]
		device := who.Device
		who.Device = ""
		if issued := time.Now().Truncate(time.Second); !who.IssuedAt.Equal(issued) {
			t.Errorf("issued at %v, want %v", who.IssuedAt, issued)
		}
		who.IssuedAt = time.Time{}
		if want := (refresh.Identity{Issuer: "https://issuer.test", Subject: "ann", Session: "session-1"}); who != want {
			t.Errorf("the login is that of %+v, want %+v", who, want)
		}
		if !strings.HasPrefix(device, "Browser/1.0 (X11)é") || len(device) > 200 || len(device) < 199 {
			t.Errorf("the device is called %q", device)
		}
	})
}

func TestAKeeperLearnsWhichLoginAnotherReplaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, k := newKeptWorld()
		b := w.signIn(t, "ann")
		again := b.request("POST", "/login")
		ctx, hangUp := context.WithCancel(again.Context())
		hangUp() // which keeps no login alive
		if err := w.SignIn(httptest.NewRecorder(), again.WithContext(ctx), w.provider.login("ann")); err != nil {
			t.Fatal(err)
		}
		if want := []string{"handle-of-refresh-1"}; !slices.Equal(k.passed, want) || len(k.ended) != 0 {
			t.Errorf("replaced are %q and ended %q, want %q and none", k.passed, k.ended, want)
		}
		if err := w.SignIn(httptest.NewRecorder(), again, w.provider.login("bob")); err != nil {
			t.Fatal(err)
		}
		if len(k.passed) != 1 || len(k.ended) != 1 {
			t.Errorf("replaced are %q and ended %q: another user's login is ended at the provider", k.passed, k.ended)
		}
		closeWorld(t, w)
	})
}

func TestALoginThatDoesNotBeginIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, k := newKeptWorld(func(a *middleware.Auth) { a.Cookies = cookies.Policy{} })
		tokens := w.provider.login("ann")
		tokens.ID = strings.Repeat("x", 100)
		k.set(func() { k.down = true })
		rec := httptest.NewRecorder()
		r := httptest.NewRequest("POST", "https://app.test/login", nil)
		if err := w.SignIn(rec, r, tokens); err == nil || len(rec.Result().Cookies()) != 0 {
			t.Errorf("a sign-in without its keeper: %v, and %d cookies", err, len(rec.Result().Cookies()))
		}
		k.set(func() { k.down = false })

		large := &longHandles{k}
		w2 := newWorld(func(a *middleware.Auth) { a.Refresher = large })
		if err := w2.SignIn(httptest.NewRecorder(), r, tokens); err == nil {
			t.Fatal("handles that fit into no cookies were set")
		}
		if len(k.ended) != 1 {
			t.Errorf("%d logins were ended, want the one whose handles nobody got", len(k.ended))
		}
	})
}

// longHandles is a Keeper whose handles are too long for cookies.
type longHandles struct{ *keeper }

func (l *longHandles) Start(ctx context.Context, t refresh.Tokens, whose refresh.Identity) (refresh.Tokens, error) {
	t, err := l.keeper.Start(ctx, t, whose)
	t.Refresh += strings.Repeat("x", cookies.MaxTotal)
	return t, err
}

// Another replica may have ended a login of which this one remembers a result
// that the browser never got. The handles in that result have ended as well.
// That is no failure of the Keeper.
func TestALoginEndedElsewhereIsOverForWhoComesWithOldHandles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, k := newKeptWorld()
		b := w.signIn(t, "ann")
		h := w.Require(whoami)
		<-time.After(life)
		wantStatus(t, serve(h, b.request("GET", "/")), http.StatusOK) // the answer is lost

		k.set(func() { clear(k.kept) })
		res := b.do(h, "GET", "/")
		wantStatus(t, res, http.StatusUnauthorized)
		if b.get("__Host-refreshToken") != "" {
			t.Error("the dead handles stay in the browser")
		}
		w.provider.expect(t, 1, 0)
	})
}
