package middleware_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/event"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// A rekeyed provider has a new key, and writes the ID of the old one into
// refreshed tokens. The signer of a provider is another provider's.
type rekeyed struct {
	*refreshtest.Provider
	other   *refreshtest.Provider
	broken  atomic.Bool
	fetches atomic.Int32 // of the keys
	calls   atomic.Int32 // of the token endpoint
}

func (p *rekeyed) RoundTrip(r *http.Request) (*http.Response, error) {
	switch r.URL.Path {
	case "/jwks":
		p.fetches.Add(1)
	case "/token":
		p.calls.Add(1)
	}
	resp, err := p.Provider.Client().Transport.RoundTrip(r)
	if err != nil || r.URL.Path != "/token" || !p.broken.Load() {
		return resp, err
	}
	var answer map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return nil, err
	}
	raw, _ := answer["access_token"].(string)
	foreign := p.other.Login("ann").Access
	answer["access_token"] = raw[:strings.LastIndexByte(raw, '.')] + foreign[strings.LastIndexByte(foreign, '.'):]
	body, err := json.Marshal(answer)
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	resp.Header.Del("Content-Length")
	return resp, err
}

// A refreshed token that no key of the provider has signed: the user can sign in
// again, and the provider is not asked for more of them.
func TestARefreshedTokenThatWillNotBeGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &rekeyed{Provider: &refreshtest.Provider{}, other: &refreshtest.Provider{}}
		v, err := verify.New(verify.Issuer{URL: p.URL(""), KeysURL: p.URL("/jwks"), Audience: []string{"api"}})
		if err != nil {
			t.Fatal(err)
		}
		v.Client = &http.Client{Transport: p}
		w := newWorld(func(a *middleware.Auth) {
			a.Verifier, a.LoginURL = v, "/login"
			a.Refresher = &refresh.OAuth2{ClientID: "client", TokenURL: p.URL("/token"), Client: v.Client}
		})
		b, other := w.receive(t, p.Login("ann")), w.receive(t, p.Login("bob"))
		h := w.Require(whoami)
		<-time.After(6 * time.Minute)
		p.broken.Store(true)
		before := p.calls.Load()
		for range 50 {
			res := b.do(h, "GET", "/orders", "Sec-Fetch-Mode", "navigate")
			wantStatus(t, res, http.StatusFound)
			wantCookies(t, res, 0)
			if to := res.Header.Get("Location"); to != "/login?return_to=%2Forders" {
				t.Fatalf("a page is sent to %q", to)
			}
			res = b.do(h, "GET", "/orders")
			wantStatus(t, res, http.StatusUnauthorized)
			wantCookies(t, res, 0)
			wantStatus(t, b.do(w.Optional(whoami), "GET", "/"), http.StatusOK)
			wantStatus(t, b.do(w.RefreshHandler(), "POST", "/"), http.StatusUnauthorized)
			<-time.After(time.Second)
		}
		if n := p.calls.Load() - before; n != 1 {
			t.Errorf("%d exchanges, want 1", n)
		}
		if n := p.fetches.Load(); n > 4 {
			t.Errorf("the keys were fetched %d times", n)
		}
		if n := w.errors(event.RefreshFailed); n != 1 {
			t.Errorf("told %d times as an error, want once", n)
		}
		// Another user's login has this coming, and one whose token is good not.
		fresh := w.receive(t, p.Login("cleo"))
		wantStatus(t, other.do(h, "GET", "/"), http.StatusUnauthorized)
		wantStatus(t, fresh.do(h, "GET", "/"), http.StatusOK)

		// The provider has been mended: the same cookies are good again.
		p.broken.Store(false)
		<-time.After(time.Minute + time.Second)
		res := b.do(h, "GET", "/")
		wantStatus(t, res, http.StatusOK)
		wantCookies(t, res, 3)
		if err := errors.Join(w.Close(), v.Close()); err != nil {
			t.Error(err)
		}
	})
}

// A key that is too new to be known is not one that nobody knows.
func TestARefreshedTokenWhoseKeyIsNotKnownYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &refreshtest.Provider{}
		old := &refreshtest.Provider{}
		var keys atomic.Pointer[refreshtest.Provider]
		keys.Store(p)
		v, err := verify.New(verify.Issuer{URL: p.URL(""), KeysURL: p.URL("/jwks"), Audience: []string{"api"}})
		if err != nil {
			t.Fatal(err)
		}
		v.Client = refreshtest.Client(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { keys.Load().ServeHTTP(w, r) }))
		w := newWorld(func(a *middleware.Auth) {
			a.Verifier = v
			a.Refresher = &refresh.OAuth2{ClientID: "client", TokenURL: p.URL("/token"), Client: p.Client()}
		})
		b := w.receive(t, p.Login("ann"))
		<-time.After(6 * time.Minute)
		keys.Store(old) // what is published lags behind
		for range 3 {
			<-time.After(100 * time.Millisecond)
			if res := b.do(w.Require(whoami), "GET", "/"); res.StatusCode == http.StatusOK {
				t.Fatal("a key that is not published is known")
			}
		}
		keys.Store(p)
		<-time.After(time.Minute + time.Second)
		res := b.do(w.Require(whoami), "GET", "/")
		wantStatus(t, res, http.StatusOK)
		wantCookies(t, res, 3)
		if s := p.Stats(); s.Reused != 0 || s.Calls > 2 {
			t.Errorf("the provider saw %+v", s)
		}
		if err := errors.Join(w.Close(), v.Close()); err != nil {
			t.Error(err)
		}
	})
}

// A provider that keeps a refresh token gives many access tokens for it. What
// was wrong with one of them, long ago, says nothing of the next one.
func TestAGoodTokenMakesUpForABadOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		w := newWorld()
		w.Refresher = refresh.Func(func(ctx context.Context, old refresh.Tokens) (refresh.Tokens, error) {
			next := refresh.Tokens{Access: accessToken("ann", 1, time.Now()), Refresh: old.Refresh}
			if broken.Load() {
				next.Access = "of-a-key-that-is-not-known-" + rand.Text()
			}
			return next, nil
		})
		b, h := w.signIn(t, "ann"), w.Require(whoami)
		for range 3 {
			broken.Store(true)
			<-time.After(life)
			wantStatus(t, b.do(h, "GET", "/"), http.StatusServiceUnavailable)
			broken.Store(false)
			<-time.After(life)
			wantStatus(t, b.do(h, "GET", "/"), http.StatusOK)
			<-time.After(10 * time.Minute)
			wantStatus(t, b.do(h, "GET", "/"), http.StatusOK)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
}

// errors counts the events of a kind that are told as errors.
func (w *world) errors(kind event.Kind) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		if e.Kind == kind && e.Level == slog.LevelError {
			n++
		}
	}
	return n
}
