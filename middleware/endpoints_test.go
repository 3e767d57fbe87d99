package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/event"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

func TestRefreshEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		h := w.RefreshHandler()
		res := serve(h, httptest.NewRequest("POST", "https://app.test/auth/refresh", nil))
		wantStatus(t, res, 401)
		wantCookies(t, res, 0)

		b := w.signIn(t, "ann")
		res = b.do(h, "GET", "/auth/refresh")
		wantStatus(t, res, 405)
		if kind, allow := res.Header.Get("Content-Type"), res.Header.Get("Allow"); kind != "application/problem+json" || allow != "POST" {
			t.Errorf("a GET is answered with %q, Allow %q", kind, allow)
		}
		wantStatus(t, b.do(h, "POST", "/auth/refresh", "Sec-Fetch-Site", "cross-site"), 403)
		wantStatus(t, b.do(h, "POST", "/auth/refresh", "Authorization", "Bearer x"), 401)
		wantStatus(t, b.do(h, "POST", "/auth/refresh", "Authorization", "Bearer"), 400)
		w.provider.expect(t, 0, 0)

		// Whoever asks gets new tokens, due or not, and once.
		before, marker := b.request("POST", "/auth/refresh"), b.get("tokenLife")
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				res := serve(h, before.Clone(t.Context()))
				wantStatus(t, res, 204)
				wantCookies(t, res, 3)
				b.store(res)
			})
		}
		wg.Wait()
		w.provider.expect(t, 1, 0)
		if now := b.get("tokenLife"); now == marker || now == "" {
			t.Errorf("the marker went from %q to %q", marker, now)
		}

		w.provider.set(func(p *provider) { p.err = errors.New("test: down") })
		res = b.do(h, "POST", "/auth/refresh")
		wantStatus(t, res, 503)
		wantCookies(t, res, 0)
		if res.Header.Get("Retry-After") != "1" {
			t.Errorf("Retry-After %q", res.Header.Get("Retry-After"))
		}
		w.provider.set(func(p *provider) { p.err = fmt.Errorf("%w: test", refresh.ErrDenied) })
		wantStatus(t, b.do(h, "POST", "/auth/refresh"), 401)
		if b.get("tokenLife") != "0" || b.get("__Host-refreshToken") != "" {
			t.Errorf("a refused refresh leaves %v", b.jar)
		}
		closeWorld(t, w)
	})
}

func TestSessionEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		h := w.Session()
		const nobody = `{"authenticated":false,"expires_in":0}` + "\n"
		res := serve(h, httptest.NewRequest("GET", "https://app.test/auth/session", nil))
		if got := body(t, res); res.StatusCode != 200 || got != nobody || res.Header.Get("Cache-Control") != "private, no-store" {
			t.Errorf("%d %q", res.StatusCode, got)
		}
		b := w.signIn(t, "ann")
		<-time.After(10 * time.Second)
		if got, want := body(t, b.do(h, "GET", "/")), `{"authenticated":true,"subject":"ann","expires_in":50}`+"\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		<-time.After(time.Hour) // the session endpoint keeps the login alive
		if got, want := body(t, b.do(h, "GET", "/")), `{"authenticated":true,"subject":"ann","expires_in":60}`+"\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		<-time.After(time.Hour)
		w.provider.set(func(p *provider) { p.err = errors.New("test: down") })
		wantStatus(t, b.do(h, "GET", "/"), 503)
		w.provider.set(func(p *provider) { p.err = fmt.Errorf("%w: test", refresh.ErrDenied) })
		if got := body(t, b.do(h, "GET", "/")); got != nobody || b.get("tokenLife") != "0" {
			t.Errorf("got %q, marker %q", got, b.get("tokenLife"))
		}
		closeWorld(t, w)
	})
}

func TestLogoutEndpoint(t *testing.T) {
	page := []string{"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Site", "same-origin"}
	for _, tt := range []struct {
		name     string
		path     string
		headers  []string
		next     func(http.ResponseWriter, *http.Request, middleware.EndedLogin)
		status   int
		location string
	}{
		{"a script", "/auth/logout", nil, nil, 204, ""},
		{"a page", "/auth/logout", page, nil, 303, "/"},
		{"a page in an old browser", "/auth/logout", []string{"Accept", "text/html,*/*"}, nil, 303, "/"},
		{"a page that wants to go on", "/auth/logout?return_to=/bye?a=b", page, nil, 303, "/bye?a=b"},
		{"a page that was told to go elsewhere", "/auth/logout?return_to=https://evil.test/", page, nil, 303, "/"},
		{"a provider with a sign-out of its own", "/auth/logout?return_to=/bye", page, func(w http.ResponseWriter, r *http.Request, ended middleware.EndedLogin) {
			http.Redirect(w, r, "https://idp.test/end?to="+ended.ReturnTo, http.StatusSeeOther)
		}, 303, "https://idp.test/end?to=/bye"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld()
			b := w.signIn(t, "ann")
			h := w.Logout(tt.next)
			wantStatus(t, b.do(h, "GET", tt.path), 405)
			wantStatus(t, b.do(h, "POST", tt.path, "Sec-Fetch-Site", "cross-site"), 403)
			if b.get("__Host-refreshToken") == "" {
				t.Error("another site signed the user out")
			}
			res := b.do(h, "POST", tt.path, tt.headers...)
			wantStatus(t, res, tt.status)
			if got := res.Header.Get("Location"); got != tt.location {
				t.Errorf("sent on to %q, want %q", got, tt.location)
			}
			if b.get("__Host-accessToken") != "" || b.get("__Host-refreshToken") != "" || b.get("tokenLife") != "0" {
				t.Errorf("the browser still has %v", b.jar)
			}
			if got := fmt.Sprint(w.provider.revoked); got != "[ann~0~refresh-token]" {
				t.Errorf("revoked %s", got)
			}
			wantStatus(t, b.do(h, "POST", tt.path, tt.headers...), tt.status) // twice does no harm
			if w.saw(event.SignedOut) != 1 {
				t.Errorf("events: %+v", w.events)
			}
		})
	}
}

// What answers a sign-out knows whose login has ended, and a stranger's token
// tells it nothing.
func TestLogoutTellsWhatHasEnded(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(w *world, b *browser)
		want   string
	}{
		"a login":                      {func(*world, *browser) {}, "ann of https://issuer.test, id-token of ann, to /bye"},
		"one whose token has expired":  {func(*world, *browser) { <-time.After(life) }, " of , id-token of ann, to /bye"},
		"no login":                     {func(_ *world, b *browser) { clear(b.jar) }, " of , , to /bye"},
		"a login of a made-up token":   {func(_ *world, b *browser) { b.jar["__Host-accessToken"] = stored{value: "x"} }, " of , id-token of ann, to /bye"},
		"a login without its ID token": {func(_ *world, b *browser) { delete(b.jar, "__Host-idToken") }, "ann of https://issuer.test, , to /bye"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(func(a *middleware.Auth) { a.Cookies.KeepID = true })
				tokens := w.provider.login("ann")
				tokens.ID = "id-token of ann"
				b := w.receive(t, tokens)
				tt.change(w, b)
				got := ""
				r := b.request("POST", "/auth/logout?return_to=/bye")
				r.Header.Set("Sec-Fetch-Mode", "navigate")
				if id := b.get("__Host-idToken"); id != "" {
					r.AddCookie(&http.Cookie{Name: "__Host-idToken", Value: id})
				}
				serve(w.Logout(func(_ http.ResponseWriter, _ *http.Request, ended middleware.EndedLogin) {
					got = fmt.Sprintf("%s of %s, %s, to %s", ended.Subject, ended.Issuer, ended.Tokens.ID, ended.ReturnTo)
				}), r)
				if got != tt.want {
					t.Errorf("told %q, want %q", got, tt.want)
				}
				closeWorld(t, w)
			})
		})
	}
}

func TestAProviderOutOfReachKeepsNobodySignedIn(t *testing.T) {
	w := newWorld()
	b := w.signIn(t, "ann")
	w.provider.revoking = errors.New("test: down")
	old := b.request("GET", "/")
	wantStatus(t, b.do(w.Logout(nil), "POST", "/"), 204)
	if b.get("__Host-refreshToken") != "" || len(w.events) != 2 || w.events[1].Err == nil {
		t.Errorf("%v, %+v", b.jar, w.events)
	}
	wantStatus(t, serve(w.RefreshHandler(), func() *http.Request { r := old.Clone(t.Context()); r.Method = "POST"; return r }()), 401)
}

func TestSignInReplacesAnEarlierLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		b := w.signIn(t, "ann")
		rec := httptest.NewRecorder()
		if err := w.SignIn(rec, b.request("POST", "/login"), w.provider.login("bob")); err != nil {
			t.Fatal(err)
		}
		b.store(rec.Result())
		if got := body(t, b.do(w.Require(whoami), "GET", "/")); got != "bob" {
			t.Errorf("signed in as %s", got)
		}
		if got := fmt.Sprint(w.provider.revoked); got != "[ann~0~refresh-token]" {
			t.Errorf("revoked %s", got)
		}
		closeWorld(t, w)
	})
}

func TestSignInSetsNothingForATokenThatIsNotGood(t *testing.T) {
	w := newWorld()
	for name, tokens := range map[string]refresh.Tokens{
		"no token":           {Refresh: "r"},
		"a made-up token":    {Access: "x", Refresh: "r"},
		"an expired token":   {Access: accessToken("ann", 0, time.Now().Add(-time.Hour)), Refresh: "r"},
		"tokens beyond size": {Access: accessToken("ann", 0, time.Now()), Refresh: strings.Repeat("r", 20_000)},
	} {
		rec := httptest.NewRecorder()
		if err := w.SignIn(rec, httptest.NewRequest("POST", "/", nil), tokens); err == nil || len(rec.Header()) != 0 {
			t.Errorf("%s: %v, header %v", name, err, rec.Header())
		}
	}
}

func TestPageNavigationsGoToTheLoginPage(t *testing.T) {
	w := newWorld(func(a *middleware.Auth) { a.LoginURL = "/auth/login?lang=en" })
	h := http.StripPrefix("/app", w.Require(whoami))
	for _, tt := range []struct {
		name     string
		method   string
		headers  []string
		status   int
		location string
	}{
		{"a navigation", "GET", []string{"Sec-Fetch-Mode", "navigate"}, 302, "/auth/login?lang=en&return_to=%2Fapp%2Fa%3Fb%3Dc"},
		{"a navigation in an old browser", "GET", []string{"Accept", "text/html"}, 302, "/auth/login?lang=en&return_to=%2Fapp%2Fa%3Fb%3Dc"},
		{"a script that takes everything", "GET", []string{"Sec-Fetch-Mode", "cors", "Accept", "text/html"}, 401, ""},
		{"a form", "POST", []string{"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Site", "same-origin"}, 401, ""},
		{"a script", "GET", []string{"Accept", "application/json"}, 401, ""},
	} {
		r := httptest.NewRequest(tt.method, "/app/a?b=c", nil)
		for i := 0; i < len(tt.headers); i += 2 {
			r.Header.Set(tt.headers[i], tt.headers[i+1])
		}
		res := serve(h, r)
		if got := res.Header.Get("Location"); res.StatusCode != tt.status || got != tt.location {
			t.Errorf("%s: %d to %q, want %d to %q", tt.name, res.StatusCode, got, tt.status, tt.location)
		}
	}
}

func TestARefusedNavigationIsAnsweredWithAPage(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	res := serve(newWorld().Require(whoami), r)
	wantStatus(t, res, 401)
	if got := body(t, res); res.Header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(got, "Please sign in") {
		t.Errorf("%s %q", res.Header.Get("Content-Type"), got)
	}
}

// The refresh of one login may fail for good. Its user can sign in again.
func TestAPageThatCannotBeHadOffersToSignInAgain(t *testing.T) {
	for _, tt := range []struct{ name, loginURL, path, want string }{
		{"a page", "/auth/login", "/orders?q=a&b=c", `<a href="/auth/login?return_to=%2Forders%3Fq%3Da%26b%3Dc">Sign in again</a>`},
		{"a login page of another kind", "https://login.test/?a=b&c=%22", "/", `<a href="https://login.test/?a=b&amp;c=%22&amp;return_to=%2F">Sign in again</a>`},
		{"a page whose URL is markup", "/auth/login", `/?x="><script>alert(1)</script>`, `<a href="/auth/login?return_to=%2F`},
		{"a page whose query has a backslash", "/auth/login", `/?q=a\b`, `<a href="/auth/login?return_to=%2F%3Fq%3Da%255Cb">`},
		{"no login page", "", "/", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(func(a *middleware.Auth) { a.LoginURL = tt.loginURL })
				b := w.signIn(t, "ann")
				<-time.After(life)
				w.provider.set(func(p *provider) { p.err = &refresh.ProviderError{Status: 500} })
				h := w.Require(whoami)
				r := b.request("GET", "/")
				r.RequestURI = tt.path
				r.Header.Set("Sec-Fetch-Mode", "navigate")
				res := serve(h, r)
				wantKept(t, res)
				got := body(t, res)
				if !strings.Contains(got, tt.want) || strings.Contains(got, "Sign in again") != (tt.want != "") || strings.Contains(got, "<script") {
					t.Errorf("the page is %s", got)
				}
				res = b.do(h, "GET", "/") // of a script
				if got := body(t, res); res.StatusCode != 503 || got != `{"title":"Service Unavailable","status":503}` {
					t.Errorf("a script gets %s", got)
				}
				closeWorld(t, w)
			})
		})
	}
}

func TestOnErrorGetsTheRefusal(t *testing.T) {
	w := newWorld(func(a *middleware.Auth) {
		a.Realm = "shop"
		a.OnError = func(w http.ResponseWriter, _ *http.Request, err error) {
			var e *middleware.Refusal
			if !errors.As(err, &e) || e.Challenge != `Bearer realm="shop"` {
				t.Errorf("got %v", err)
			}
			w.WriteHeader(http.StatusTeapot)
		}
	})
	wantStatus(t, serve(w.Require(whoami), httptest.NewRequest("GET", "/", nil)), 418)
}

// An OnError that changes its Refusal changes no other response, at the same
// time or later.
func TestOnErrorMayChangeItsRefusal(t *testing.T) {
	w := newWorld(func(a *middleware.Auth) {
		a.OnError = func(w http.ResponseWriter, r *http.Request, err error) {
			var e *middleware.Refusal
			if errors.As(err, &e) && r.Method == http.MethodGet {
				e.Status, e.Challenge, e.Err = http.StatusTeapot, "", nil
			}
			middleware.WriteError(w, r, err)
		}
	})
	b := w.signIn(t, "ann")
	for name, h := range map[string]http.Handler{
		"no token":      w.Require(whoami),
		"a false token": w.Require(whoami),
		"another scope": w.RequireScope("admin")(whoami),
		"another group": w.RequireGroup("admin")(whoami),
	} {
		request := func(method string) *http.Response {
			r := httptest.NewRequest(method, "https://app.test/", nil)
			switch name {
			case "a false token":
				r.Header.Set("Authorization", "Bearer false")
			case "another scope", "another group":
				r = b.request(method, "/")
			}
			return serve(h, r)
		}
		want := request("POST")
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() { wantStatus(t, request("GET"), http.StatusTeapot) })
		}
		wg.Wait()
		got := request("POST")
		if got.StatusCode != want.StatusCode || got.Header.Get("Www-Authenticate") != want.Header.Get("Www-Authenticate") {
			t.Errorf("%s: answered %d with %q, and %d with %q before", name, got.StatusCode, got.Header["Www-Authenticate"],
				want.StatusCode, want.Header["Www-Authenticate"])
		}
	}
}

// The provider is told of a sign-out even if the Store of the Revocations uses
// all the time that there is.
func TestASignOutReachesTheProviderPastAStoreThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(refreshtest.FaultyStore)
		w := newWorld(func(a *middleware.Auth) { a.Revocations = &middleware.Revocations{Store: store} })
		b := w.signIn(t, "ann")
		store.SetDelay(time.Hour, 0)
		begin := time.Now()
		wantStatus(t, b.do(w.Logout(nil), "POST", "/"), 204)
		if took := time.Since(begin); took > 3*time.Second {
			t.Errorf("the sign-out took %v", took)
		}
		if len(w.provider.revoked) != 1 {
			t.Errorf("%d tokens were revoked at the provider, want 1", len(w.provider.revoked))
		}
		if n := w.saw(event.SignedOut); n != 1 || w.events[len(w.events)-1].Err == nil {
			t.Errorf("told %+v, want that the store was not reached", w.events)
		}
		closeWorld(t, w)
	})
}

// A panickingStore is a Store that panics at a Swap.
type panickingStore struct{ refreshtest.FaultyStore }

func (*panickingStore) Swap(context.Context, string, []byte, []byte, time.Duration) (bool, error) {
	panic("a mistake")
}

// Nor if it panics, in a goroutine of ours.
func TestASignOutReachesTheProviderPastAStoreThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(func(a *middleware.Auth) { a.Revocations = &middleware.Revocations{Store: new(panickingStore)} })
		wantStatus(t, w.signIn(t, "ann").do(w.Logout(nil), "POST", "/"), 204)
		if len(w.provider.revoked) != 1 || w.saw(event.SignedOut) != 1 || w.events[len(w.events)-1].Err == nil {
			t.Errorf("%d tokens were revoked at the provider, told %+v", len(w.provider.revoked), w.events)
		}
		closeWorld(t, w)
	})
}

// A provider's own time for a refresh token goes before the Lifetime of the cookies:
// the end of a login stands for that long, too.
func TestPromise05ASignOutStandsForLongerThanLifetime(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, w *world, b *browser){
		"a sign-out": func(t *testing.T, w *world, b *browser) {
			wantStatus(t, b.do(w.Logout(nil), "POST", "/"), 204)
		},
		"a new sign-in": func(t *testing.T, w *world, b *browser) {
			if err := w.SignIn(httptest.NewRecorder(), b.request("POST", "/login"), w.provider.issue("ann", 7)); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(func(a *middleware.Auth) {
					a.Cookies.Lifetime = 8 * time.Hour
					a.Refresher = refresh.Func(a.Refresher.Refresh) // no Revoker: nobody else refuses
				})
				tokens := w.provider.login("ann")
				tokens.RefreshExpiry = time.Now().Add(30 * 24 * time.Hour)
				b, rec := &browser{jar: make(map[string]stored)}, httptest.NewRecorder()
				if err := w.SignIn(rec, httptest.NewRequest("POST", "https://app.test/login", nil), tokens); err != nil {
					t.Fatal(err)
				}
				b.store(rec.Result())
				before := maps.Clone(b.jar)
				end(t, w, b)
				b.jar = before
				<-time.After(29 * 24 * time.Hour)
				wantStatus(t, b.do(w.Require(whoami), "GET", "/"), 401)
				w.provider.expect(t, 0, 0)
				closeWorld(t, w)
			})
		})
	}
}
