package middleware_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
)

// A slow handler answers 401 after other tabs have refreshed the login and the
// grace has ended. A replay would present the old refresh token to the
// provider.
func TestASlowHandlers401PresentsNoSpentRefreshToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		defer closeWorld(t, w)
		b := w.signIn(t, "ann")
		slow := w.Require(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				<-time.After(120 * time.Second)
				rw.WriteHeader(401)
				return
			}
			fmt.Fprint(rw, "ok")
		}))
		done := make(chan *http.Response)
		r := b.request("GET", "/slow")
		go func() { done <- serve(slow, r) }()
		<-time.After(61 * time.Second)
		wantStatus(t, b.do(slow, "GET", "/"), 200) // refreshed
		<-time.After(time.Second)
		wantStatus(t, b.do(slow, "GET", "/"), 200) // arrival: grace begins
		<-time.After(40 * time.Second)
		wantStatus(t, b.do(slow, "GET", "/"), 200)
		<-done
		<-time.After(30 * time.Second)
		wantStatus(t, b.do(slow, "GET", "/"), 200) // the user is still signed in?
		w.provider.mu.Lock()
		defer w.provider.mu.Unlock()
		if w.provider.reuse != 0 {
			t.Errorf("the provider saw %d used refresh tokens again", w.provider.reuse)
		}
	})
}

// Under Optional or KeepAlive the handler runs after a refused refresh. Its final
// header clears the cookies, so the response must not be cached.
func TestPromise07ClearedCookiesComeWithTheFinalHeaderToo(t *testing.T) {
	for _, mode := range []string{"Optional", "KeepAlive"} {
		t.Run(mode, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				defer closeWorld(t, w)
				h := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					rw.Header().Set("Cache-Control", "public, max-age=3600")
					rw.WriteHeader(200)
				})
				b := w.signIn(t, "ann")
				w.provider.set(func(p *provider) { delete(p.current, "ann") })
				<-time.After(2 * life)
				g := w.Optional(h)
				if mode == "KeepAlive" {
					g = w.KeepAlive(h)
				}
				res := b.do(g, "GET", "/")
				if got := res.Header["Cache-Control"]; len(got) != 1 || got[0] != "private, no-store" {
					t.Errorf("Cache-Control %q with Set-Cookie %q", got, names(res))
				}
			})
		})
	}
}

// A second exchange of one request is no sign that the browser has the tokens
// of the first.
func TestPromise01AnswersMayBeLostInARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		defer closeWorld(t, w)
		h := w.Require(whoami)
		b := w.signIn(t, "ann")
		for i := range 3 {
			<-time.After(20 * time.Minute)
			res := serve(h, b.request("GET", "/")) // the answer is lost
			if res.StatusCode != 200 {
				t.Errorf("visit %d with the old cookies: %d", i+1, res.StatusCode)
			}
		}
		w.provider.mu.Lock()
		defer w.provider.mu.Unlock()
		if w.provider.reuse != 0 {
			t.Errorf("%d reuses", w.provider.reuse)
		}
	})
}

// A request under way with the former login must not clear the cookies of the
// new one.
func TestPromise02ALoserNeverClearsANewLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		defer closeWorld(t, w)
		h := w.Require(whoami)
		b := w.signIn(t, "ann")
		<-time.After(2 * life)
		w.provider.set(func(p *provider) { p.delay = 3 * time.Second })
		done := make(chan *http.Response)
		r := b.request("GET", "/")
		go func() { done <- serve(h, r) }()
		<-time.After(time.Second)
		// Meanwhile the user signs in anew, in another tab.
		rec := httptest.NewRecorder()
		if err := w.SignIn(rec, b.request("POST", "/login"), w.provider.login("bob")); err != nil {
			t.Fatal(err)
		}
		b.store(rec.Result())
		b.store(<-done)
		if b.get("__Host-refreshToken") == "" {
			t.Error("the new login has been cleared by a request of the old one")
		}
		<-time.After(20 * time.Second)
	})
}

// This machine's clock is ahead of the provider's: a new token is good by the
// leeway, and due already.
func TestAClockAheadOfTheProvidersCostsNoMoreRefreshes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.checker.leeway = 30 * time.Second
		skew := 50 * time.Second
		calls := 0
		w.Auth.Refresher = refresh.Func(func(_ context.Context, old refresh.Tokens) (refresh.Tokens, error) {
			calls++
			return refresh.Tokens{Access: accessToken("ann", calls, time.Now().Add(-skew)), Refresh: fmt.Sprint("ann~", calls, "~refresh-token")}, nil
		})
		defer closeWorld(t, w)
		h := w.Require(whoami)
		b := w.signIn(t, "ann")
		<-time.After(2 * life)
		res := b.do(h, "GET", "/")
		wantStatus(t, res, 200)
		if calls != 1 {
			t.Errorf("%d calls", calls)
		}
	})
}

// A new token is signed by a key that is not known yet. The request must not be
// answered with 401.
func TestANewTokenWhoseKeyIsNotKnownYetIsNoSignOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(func(a *middleware.Auth) { a.LoginURL = "/login" })
		base := w.checker
		w.Auth.Verifier = middleware.VerifierFunc(func(ctx context.Context, raw string) (*verify.Token, error) {
			if strings.Contains(raw, "~1~") {
				return nil, fmt.Errorf("%w: its key is unknown", verify.ErrInvalid)
			}
			return base.Verify(ctx, raw)
		})
		defer closeWorld(t, w)
		h := w.Require(whoami)
		b := w.signIn(t, "ann")
		<-time.After(2 * life)
		res := b.do(h, "GET", "/", "Sec-Fetch-Mode", "navigate")
		wantStatus(t, res, 503)
	})
}

// A background refresh fails slowly, and the handler answers 401. The request
// must not wait for the provider twice.
func TestPromise03NobodyWaitsForTheProviderTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		defer closeWorld(t, w)
		h := w.Require(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { rw.WriteHeader(401) }))
		b := w.signIn(t, "ann")
		w.provider.set(func(p *provider) { p.delay = time.Hour })
		<-time.After(life - 5*time.Second)
		begin := time.Now()
		b.do(h, "GET", "/")
		if d := time.Since(begin); d > 5*time.Second {
			t.Errorf("waited %v", d)
		}
		<-time.After(time.Minute)
	})
}
