package middleware_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/cookies"
	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/event"
)

func TestPromise01AThousandRequestsOnOneExpiredLogin(t *testing.T) {
	for _, spread := range []time.Duration{0, 100 * time.Millisecond} {
		t.Run(spread.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				w.provider.delay = 30 * time.Millisecond
				b := w.signIn(t, "ann")
				<-time.After(life)
				h := w.Require(whoami)
				var wg sync.WaitGroup
				var mu sync.Mutex
				given := make(map[string]int)
				for i := range 1000 {
					r := b.request("GET", "/")
					wg.Go(func() {
						<-time.After(spread * time.Duration(i) / 1000)
						res := serve(h, r)
						mu.Lock()
						defer mu.Unlock()
						given[strings.Join(res.Header["Set-Cookie"][:2], "\n")]++
						wantStatus(t, res, 200)
						wantCookies(t, res, 3)
					})
				}
				wg.Wait()
				if len(given) != 1 {
					t.Errorf("%d different sets of cookies were given", len(given))
				}
				w.provider.expect(t, 1, 0)
				closeWorld(t, w)
			})
		})
	}
}

func closeWorld(t *testing.T, w *world) {
	t.Helper()
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

func TestALoginLivesOnAndOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		b := w.signIn(t, "ann")
		h := w.Require(whoami)
		for range 3600 { // an hour of a request a second
			res := b.do(h, "GET", "/")
			if res.StatusCode != 200 || body(t, res) != "ann" {
				t.Fatalf("answered %d", res.StatusCode)
			}
			<-time.After(time.Second)
		}
		// Every 45 s: a quarter of the life before its end.
		w.provider.expect(t, 3600/45-1, 0)
		closeWorld(t, w)
	})
}

func TestPromise02ABadMinuteOfTheProviderEndsNoLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		b := w.signIn(t, "ann")
		h := w.Require(whoami)
		w.provider.set(func(p *provider) { p.err = &refresh.ProviderError{Status: 429, RetryAfter: 7 * time.Second} })

		<-time.After(life - 10*time.Second) // due, but good
		res := b.do(h, "GET", "/")
		wantStatus(t, res, 200)
		wantCookies(t, res, 0)

		<-time.After(10 * time.Second) // over
		res = b.do(h, "GET", "/")
		wantStatus(t, res, 503)
		wantCookies(t, res, 0)
		if got := res.Header.Get("Retry-After"); got != "7" {
			t.Errorf("Retry-After %q, want what the provider asked for", got)
		}
		wantStatus(t, b.do(w.Optional(whoami), "GET", "/"), 200)

		w.provider.set(func(p *provider) { p.err = nil })
		res = b.do(h, "GET", "/")
		wantStatus(t, res, 200)
		wantCookies(t, res, 3)
		if w.saw(event.RefreshFailed) != 3 || w.saw(event.Ended) != 0 || w.saw(event.Refreshed) != 1 {
			t.Errorf("events: %+v", w.events)
		}
		closeWorld(t, w)
	})
}

func TestPromise02KeysOutOfReachEndNoLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		b := w.signIn(t, "ann")
		h := w.Require(whoami)
		w.checker.down.Store(true)
		res := b.do(h, "GET", "/")
		wantStatus(t, res, 503)
		wantCookies(t, res, 0)
		w.provider.expect(t, 0, 0)

		// A refresh whose result cannot be verified now is not lost.
		<-time.After(life)
		w.checker.down.Store(false)
		w.provider.delay = time.Second
		go func() { <-time.After(500 * time.Millisecond); w.checker.down.Store(true) }()
		res = b.do(h, "GET", "/")
		wantStatus(t, res, 503)
		wantCookies(t, res, 0)
		w.checker.down.Store(false)
		res = b.do(h, "GET", "/")
		wantStatus(t, res, 200)
		wantCookies(t, res, 3)
		w.provider.expect(t, 1, 0)
		closeWorld(t, w)
	})
}

func TestARefusedRefreshEndsTheLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		b := w.signIn(t, "ann")
		h := w.Require(whoami)
		w.provider.set(func(p *provider) { p.err = fmt.Errorf("%w: test", refresh.ErrDenied) })

		<-time.After(life - 5*time.Second)
		wantStatus(t, b.do(h, "GET", "/"), 200) // the token is still good
		<-time.After(5 * time.Second)
		res := b.do(h, "GET", "/")
		wantStatus(t, res, 401)
		if got := res.Header.Get("WWW-Authenticate"); !strings.Contains(got, `error="invalid_token"`) {
			t.Errorf("challenge %q", got)
		}
		if b.get("__Host-accessToken") != "" || b.get("__Host-refreshToken") != "" || b.get("tokenLife") != "0" {
			t.Errorf("the browser still has %v", b.jar)
		}
		wantStatus(t, b.do(h, "GET", "/"), 401)
		w.provider.expect(t, 1, 0) // the refusal is shared, and then there is nothing to ask with
		if w.saw(event.Ended) != 2 {
			t.Errorf("events: %+v", w.events)
		}
		closeWorld(t, w)
	})
}

func TestPromise03AClientThatHangsUpComesBackWithItsOldCookies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.provider.delay = time.Second
		b := w.signIn(t, "ann")
		h := w.Require(whoami)
		for _, away := range []time.Duration{0, time.Minute, time.Hour, 23 * time.Hour} {
			<-time.After(2 * life)
			ctx, cancel := context.WithCancel(t.Context())
			r := b.request("GET", "/").WithContext(ctx)
			go func() { <-time.After(100 * time.Millisecond); cancel() }()
			serve(h, r) // the answer reaches nobody
			<-time.After(away)
			res := b.do(h, "GET", "/")
			wantStatus(t, res, 200)
			wantCookies(t, res, 3)
		}
		if w.provider.reuse != 0 {
			t.Errorf("%d refresh tokens were used twice", w.provider.reuse)
		}
		closeWorld(t, w)
	})
}

func TestPromise04NobodyGetsAnothersTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		b := w.signIn(t, "ann")
		<-time.After(life)
		w.provider.set(func(p *provider) { p.as = "eve" })
		for method, h := range map[string]http.Handler{"GET": w.Require(whoami), "POST": w.RefreshHandler()} {
			res := b.do(h, method, "/")
			if res.StatusCode < 400 || strings.Contains(body(t, res), "eve") {
				t.Errorf("answered %d", res.StatusCode)
			}
			wantCookies(t, res, 0)
		}
		if w.saw(event.OtherSubject) == 0 {
			t.Errorf("events: %+v", w.events)
		}
		closeWorld(t, w)
	})
}

func TestPromise06TheHandlerSeesTheTruth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ring, err := cookies.NewKeyRing([]byte("0123456789abcdef0123456789abcdef"))
		if err != nil {
			t.Fatal(err)
		}
		for _, sealed := range []bool{false, true} {
			w := newWorld(func(a *middleware.Auth) {
				a.ForwardToken = true
				if sealed {
					a.Cookies.Keys = ring
				}
			})
			b := w.signIn(t, "ann")
			<-time.After(life)
			h := w.Require(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				now, ok := middleware.FromContext(r.Context())
				if !ok || !strings.HasPrefix(now.Raw, "ann~1~") {
					t.Fatal("the context has not the new token")
				}
				if got := r.Header.Get("Authorization"); got != "Bearer "+now.Raw {
					t.Errorf("the Authorization header has another token")
				}
				got, err := w.Cookies.Read(r)
				if err != nil || got.Access != now.Raw || got.Refresh != "ann~1~refresh-token" {
					t.Errorf("the cookies have other tokens (%v)", err)
				}
				if expiry, ok := w.Cookies.Marker(r); !ok || expiry.Unix() != now.Expiry.Unix() {
					t.Errorf("the marker says %v", expiry)
				}
				if c, err := r.Cookie("theme"); err != nil || c.Value != "dark" {
					t.Error("another cookie is lost")
				}
			}))
			r := b.request("GET", "/")
			r.AddCookie(&http.Cookie{Name: "theme", Value: "dark"})
			before := r.Header.Get("Cookie")
			serve(h, r)
			if r.Header.Get("Cookie") != before || r.Header.Get("Authorization") != "" {
				t.Error("the outer request was changed")
			}
			closeWorld(t, w)
		}
	})
}

func TestABrowserThatWasAwayWithALostAnswerFollowsItsLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		b := w.signIn(t, "ann")
		h := w.Require(whoami)
		<-time.After(life)
		serve(h, b.request("GET", "/")) // lost
		<-time.After(2 * life)          // and its access token is over as well
		res := b.do(h, "GET", "/")
		wantStatus(t, res, 200)
		wantCookies(t, res, 3)
		w.provider.expect(t, 2, 0)
		closeWorld(t, w)
	})
}

func TestWithoutAnAccessCookieTheRefreshCookieIsEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		b := w.signIn(t, "ann")
		delete(b.jar, "__Host-accessToken")
		res := b.do(w.Require(whoami), "GET", "/")
		wantStatus(t, res, 200)
		wantCookies(t, res, 3)
		b.jar["__Host-accessToken"] = stored{value: "signed-with-a-key-that-is-gone"}
		res = b.do(w.Require(whoami), "GET", "/")
		wantStatus(t, res, 200)
		wantCookies(t, res, 3)
		w.provider.expect(t, 1, 0) // nobody knows newer ones than those given a moment ago
		closeWorld(t, w)
	})
}

// One unusable token, which the provider has made by mistake, does not end the
// login for as long as it is remembered.
func TestATokenThatCannotBeUsedHasASecondChance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var opaque atomic.Bool
		w := newWorld()
		w.Refresher = refresh.Func(func(ctx context.Context, old refresh.Tokens) (refresh.Tokens, error) {
			next, err := w.provider.Refresh(ctx, old)
			if opaque.Load() {
				next.Access = "opaque" + next.Refresh
			}
			return next, err
		})
		h := w.Require(whoami)
		ann, bob := w.signIn(t, "ann"), w.signIn(t, "bob")
		opaque.Store(true)
		<-time.After(life)
		for _, b := range []*browser{ann, bob} {
			res := b.do(h, "GET", "/")
			wantStatus(t, res, 503)
			wantCookies(t, res, 0)
		}
		w.provider.expect(t, 2, 0)
		for range 100 { // a key that is too new to be known looks the same
			wantStatus(t, ann.do(h, "GET", "/"), 503)
			wantStatus(t, bob.do(h, "GET", "/"), 503)
		}
		w.provider.expect(t, 3, 0)

		opaque.Store(false)
		for _, b := range []*browser{ann, bob} {
			<-time.After(time.Second)
			res := b.do(h, "GET", "/")
			wantStatus(t, res, 200)
			wantCookies(t, res, 3)
		}
		w.provider.expect(t, 5, 0)
		closeWorld(t, w)
	})
}

// A Verifier may not know when a token expires, for example if it asks the
// provider about opaque tokens.
func TestATokenThatDoesNotTellItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(func(a *middleware.Auth) {
			a.Revocations = &middleware.Revocations{Store: new(refresh.MemoryStore)}
		})
		w.Verifier = middleware.VerifierFunc(func(ctx context.Context, raw string) (*verify.Token, error) {
			token, err := w.checker.Verify(ctx, raw)
			if token != nil {
				token.Expiry = time.Time{}
			}
			return token, err
		})
		var last *verify.Token
		h := w.Require(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			last, _ = middleware.FromContext(r.Context())
			if r.URL.Path == "/refusing" {
				rw.WriteHeader(http.StatusUnauthorized)
			}
		}))
		b := w.signIn(t, "ann")
		for range 5 {
			res := b.do(h, "GET", "/")
			wantStatus(t, res, http.StatusOK)
			wantCookies(t, res, 0)
		}
		wantStatus(t, b.do(h, "GET", "/refusing"), http.StatusUnauthorized)
		w.provider.expect(t, 0, 0) // it is neither due nor old

		<-time.After(life)
		wantStatus(t, b.do(h, "GET", "/"), http.StatusOK)
		w.provider.expect(t, 1, 0) // the Verifier has said so

		if err := w.Revocations.RevokeToken(t.Context(), last); err != nil {
			t.Fatal(err)
		}
		wantStatus(t, serve(h, bearer(last.Raw)), http.StatusUnauthorized)
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A provider answers no more of an opaque token that has expired than of one that
// is made up. The browsers that come back long after their new tokens were lost
// need not come one by one.
func TestLostTokensOfWhichNothingIsKnownAreExchangedByTheirExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.Verifier = middleware.VerifierFunc(func(ctx context.Context, raw string) (*verify.Token, error) {
			token, err := w.checker.Verify(ctx, raw)
			if err != nil {
				return nil, fmt.Errorf("%w: test", verify.ErrInvalid)
			}
			token.Expiry = time.Time{}
			return token, nil
		})
		w.Refresher = refresh.Func(func(ctx context.Context, old refresh.Tokens) (refresh.Tokens, error) {
			next, err := w.provider.Refresh(ctx, old)
			next.Expiry = time.Now().Add(life)
			return next, err
		})
		h := w.Require(whoami)
		users := []string{"ann", "bob", "cem", "dan"}
		browsers := make([]*browser, len(users))
		for i, user := range users {
			browsers[i] = w.signIn(t, user)
		}
		<-time.After(life)
		for _, b := range browsers {
			wantStatus(t, serve(h, b.request("GET", "/")), http.StatusOK) // and the browser never gets it
		}
		<-time.After(time.Hour)
		for i, b := range browsers {
			res := b.do(h, "GET", "/")
			wantStatus(t, res, http.StatusOK)
			if b.get("tokenLife") == "" {
				t.Errorf("%s's scripts are not told when the token expires", users[i])
			}
		}
		w.provider.expect(t, 2*len(users), 0)
		closeWorld(t, w)
	})
}
