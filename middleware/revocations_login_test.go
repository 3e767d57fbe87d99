package middleware_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// named is a Verifier that gives the tokens of a checker an ID and a session.
type named struct {
	*checker
	logins bool
}

func (n named) Verify(ctx context.Context, raw string) (*verify.Token, error) {
	t, err := n.checker.Verify(ctx, raw)
	if t != nil {
		t.ID, t.IssuedAt = raw[:20], t.IssuedAt.Truncate(time.Second)
		if n.logins {
			t.Session = "session-of-" + t.Subject
		}
	}
	return t, err
}

func revoking(store refresh.Store, logins bool) func(*middleware.Auth) {
	return func(a *middleware.Auth) {
		a.Verifier = named{a.Verifier.(*checker), logins}
		a.Revocations = &middleware.Revocations{Store: store}
	}
}

func (w *world) tokenOf(t *testing.T, raw string) *verify.Token {
	t.Helper()
	token, err := w.Verifier.Verify(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// soon returns a cut-off later than all tokens issued so far.
func soon() time.Time { return time.Now().Truncate(time.Second).Add(time.Second) }

func bearer(token string) *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

// Each handler of the package refuses a login that has been revoked.
func TestARevokedLoginIsOverWhateverItAsksFor(t *testing.T) {
	revocations := map[string]func(*world) error{
		"by its name": func(w *world) error {
			return w.Revocations.RevokeLogin(context.Background(), "https://issuer.test", "session-of-ann", soon())
		},
		"by its subject": func(w *world) error {
			return w.Revocations.RevokeSubject(context.Background(), "https://issuer.test", "ann", soon())
		},
	}
	check := func(w *world) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			passed, err := w.Check(rw, r)
			if err != nil {
				middleware.WriteError(rw, r, err)
				return
			}
			whoami(rw, passed)
		})
	}
	ways := map[string]struct {
		method string
		h      func(*world) http.Handler
		status int
	}{
		"Require":   {"GET", func(w *world) http.Handler { return w.Require(whoami) }, 401},
		"Optional":  {"GET", func(w *world) http.Handler { return w.Optional(wantNobody(t)) }, 200},
		"Check":     {"GET", check, 401},
		"Refresh":   {"POST", func(w *world) http.Handler { return w.RefreshHandler() }, 401},
		"Session":   {"GET", func(w *world) http.Handler { return w.Session() }, 200},
		"KeepAlive": {"GET", func(w *world) http.Handler { return w.KeepAlive(seenBy) }, 200},
	}
	for by, revoke := range revocations {
		for name, way := range ways {
			for age, after := range map[string]time.Duration{"a good token": 20 * time.Second, "a token that is due": life - 10*time.Second, "an expired token": life + 10*time.Second} {
				t.Run(by+", "+name+" with "+age, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						store := &refreshtest.FaultyStore{}
						w := newWorld(revoking(store, true), func(a *middleware.Auth) { a.ForwardToken = true })
						b := w.signIn(t, "ann")
						<-time.After(after)
						if err := revoke(w); err != nil {
							t.Fatal(err)
						}
						res := b.do(way.h(w), way.method, "/")
						wantStatus(t, res, way.status)
						if b.get("__Host-accessToken") != "" || b.get("__Host-refreshToken") != "" || b.get("tokenLife") != "0" {
							t.Errorf("cookies are left: %q", names(res))
						}
						if got := body(t, res); name == "KeepAlive" && got != "" {
							t.Error("the handler got the token")
						}
						w.provider.expect(t, 0, 0)
						if err := w.Close(); err != nil {
							t.Error(err)
						}
					})
				})
			}
		}
	}
}

func wantNobody(t *testing.T) http.Handler {
	return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if _, ok := middleware.FromContext(r.Context()); ok {
			t.Error("the handler finds a token")
		}
	})
}

// A login that began after the cut-off is refreshed, and so is one without a
// cut-off.
func TestALoginThatIsYoungerThanACutOffGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(revoking(&refreshtest.FaultyStore{}, true))
		ctx := t.Context()
		if err := w.Revocations.RevokeSubject(ctx, "https://issuer.test", "ann", time.Now()); err != nil {
			t.Fatal(err)
		}
		if err := w.Revocations.RevokeLogin(ctx, "https://issuer.test", "session-of-ann", time.Now()); err != nil {
			t.Fatal(err)
		}
		b := w.signIn(t, "ann")
		for range 3 {
			wantStatus(t, b.do(w.Require(whoami), "GET", "/"), 200)
			<-time.After(life + time.Second)
		}
		w.provider.expect(t, 2, 0)
	})
}

// The login is revoked while the provider is called. The new tokens are younger
// than the cut-off, and must not get to the browser all the same.
func TestARefreshUnderWayDoesNotBringARevokedLoginBack(t *testing.T) {
	for name, where := range map[string]func(w, elsewhere *world) *middleware.Revocations{
		"revoked here":      func(w, _ *world) *middleware.Revocations { return w.Revocations },
		"revoked elsewhere": func(_, elsewhere *world) *middleware.Revocations { return elsewhere.Revocations },
	} {
		for way, h := range map[string]func(*world) http.Handler{
			"expired, before the handler": func(w *world) http.Handler { return w.Require(whoami) },
			"asked for by a script":       func(w *world) http.Handler { return w.RefreshHandler() },
			"kept alive":                  func(w *world) http.Handler { return w.KeepAlive(whoami) },
			"due, beside the handler":     func(w *world) http.Handler { return w.Require(whoami) },
		} {
			t.Run(name+": "+way, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					store := &refreshtest.FaultyStore{}
					w, elsewhere := newWorld(revoking(store, false)), newWorld(revoking(store, false))
					w.provider.delay = 3 * time.Second
					b := w.signIn(t, "ann")
					if way == "due, beside the handler" {
						<-time.After(life - 8*time.Second)
					} else {
						<-time.After(life + time.Second)
					}
					done := make(chan *http.Response)
					method := "GET"
					if way == "asked for by a script" {
						method = "POST"
					}
					go func() { done <- b.do(h(w), method, "/") }()
					<-time.After(1500 * time.Millisecond)
					if err := where(w, elsewhere).RevokeSubject(t.Context(), "https://issuer.test", "ann", time.Now()); err != nil {
						t.Fatal(err)
					}
					res := <-done
					for _, c := range res.Cookies() {
						if c.MaxAge >= 0 && c.Value != "0" {
							t.Errorf("the answer sets %s", c.Name)
						}
					}
					w.provider.expect(t, 1, 0) // so it was under way
					// And nothing that follows brings it back.
					<-time.After(life)
					wantStatus(t, b.do(w.Require(whoami), "GET", "/"), 401)
					wantStatus(t, b.do(elsewhere.Require(whoami), "GET", "/"), 401)
					if err := w.Close(); err != nil {
						t.Error(err)
					}
				})
			})
		}
	}
}

// A page's requests with one expired token cost the Store as little as the
// provider.
func TestAStormCostsTheStoreAFewReads(t *testing.T) {
	for _, logins := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			store := &refreshtest.FaultyStore{}
			store.SetDelay(0, time.Millisecond)
			w := newWorld(revoking(store, logins))
			w.provider.delay = 30 * time.Millisecond
			b := w.signIn(t, "ann")
			<-time.After(life + time.Second)
			before := reads(store)
			h := w.Require(whoami)
			var wg sync.WaitGroup
			for range 1000 {
				wg.Go(func() {
					if res := serve(h, b.request("GET", "/")); res.StatusCode != 200 {
						t.Errorf("answered %d", res.StatusCode)
					}
				})
			}
			wg.Wait()
			w.provider.expect(t, 1, 0)
			// Before and after the call: one round that begins it, and one for
			// all who came after that one had begun.
			if got := reads(store) - before; got > 12 {
				t.Errorf("%d Gets for one refresh, tokens naming their login: %t", got, logins)
			}
		})
	}
}

// A slow response with an older renewal finds, at its end, tokens that were
// issued after the cut-off.
func TestASlowAnswerDoesNotBringARevokedLoginBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(revoking(&refreshtest.FaultyStore{}, false))
		b := w.signIn(t, "ann")
		<-time.After(life + time.Second)
		slow := make(chan *http.Response)
		go func() {
			slow <- serve(w.Require(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-time.After(2 * life) })), b.request("GET", "/"))
		}()
		<-time.After(time.Second)
		quick := &browser{jar: map[string]stored{}}
		quick.store(serve(w.Require(whoami), b.request("GET", "/"))) // the same renewal, so that the slow one is not alone with it
		<-time.After(life)
		w.provider.delay = 2 * time.Second
		go func() { serve(w.RefreshHandler(), quick.request("POST", "/")) }()
		<-time.After(time.Second)
		if err := w.Revocations.RevokeSubject(t.Context(), "https://issuer.test", "ann", time.Now()); err != nil {
			t.Fatal(err)
		}
		for _, c := range (<-slow).Cookies() {
			if c.Name != "__Host-accessToken" || c.MaxAge < 0 {
				continue
			}
			if token, err := w.Verifier.Verify(t.Context(), c.Value); err == nil && w.Revocations.Check(t.Context(), token) == nil {
				t.Error("a slow answer carries tokens that are good after the cut-off")
			}
		}
		w.provider.expect(t, 2, 0)
	})
}

func TestARevokedTokenIsRefusedAndItsLoginRefreshed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(revoking(&refreshtest.FaultyStore{}, true))
		b := w.signIn(t, "ann")
		raw := b.get("__Host-accessToken")
		if err := w.Revocations.RevokeToken(t.Context(), w.tokenOf(t, raw)); err != nil {
			t.Fatal(err)
		}
		res := serve(w.Require(whoami), bearer(raw))
		wantStatus(t, res, 401)
		wantCookies(t, res, 0)
		<-time.After(time.Second)
		for range 5 {
			res := b.do(w.Require(whoami), "GET", "/")
			wantStatus(t, res, 200)
		}
		w.provider.expect(t, 1, 0)
		if b.get("__Host-accessToken") == raw {
			t.Error("the browser still has the revoked token")
		}

		// A login that cannot be refreshed keeps its cookies and gets 401.
		b = &browser{jar: map[string]stored{"__Host-accessToken": {value: raw}}}
		res = b.do(w.Require(whoami), "GET", "/")
		wantStatus(t, res, 401)
		wantCookies(t, res, 0)
	})
}

// A bearer token decides alone. The cookies may be of another login.
func TestARevokedBearerTokenClearsNoCookies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(revoking(&refreshtest.FaultyStore{}, true))
		b := w.signIn(t, "bob")
		token := accessToken("ann", 0, time.Now())
		if err := w.Revocations.RevokeSubject(t.Context(), "https://issuer.test", "ann", soon()); err != nil {
			t.Fatal(err)
		}
		for _, h := range []http.Handler{w.Require(whoami), w.Optional(whoami)} {
			res := b.do(h, "GET", "/", "Authorization", "Bearer "+token)
			wantStatus(t, res, 401)
			wantCookies(t, res, 0)
			if got := res.Header.Get("WWW-Authenticate"); got == "" {
				t.Error("no challenge")
			}
		}
	})
}

func TestARevokedTokenIsNotPassedOnByKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(revoking(&refreshtest.FaultyStore{}, true), func(a *middleware.Auth) { a.ForwardToken = true })
		b := w.signIn(t, "ann")
		raw := b.get("__Host-accessToken")
		if err := w.Revocations.RevokeToken(t.Context(), w.tokenOf(t, raw)); err != nil {
			t.Fatal(err)
		}
		cookies := func(rw http.ResponseWriter, r *http.Request) {
			fmt.Fprint(rw, r.Header.Get("Authorization"), len(r.Cookies()))
		}
		// While the provider is down the handler gets nothing, and the login
		// stays.
		w.provider.set(func(p *provider) { p.err = fmt.Errorf("test: down") })
		res := b.do(w.KeepAlive(http.HandlerFunc(cookies)), "GET", "/")
		wantCookies(t, res, 0)
		if got := body(t, res); got != "0" {
			t.Errorf("the handler sees %d bytes of credentials and cookies", len(got))
		}
		w.provider.set(func(p *provider) { p.err = nil })
		<-time.After(6 * time.Second)
		got := body(t, b.do(w.KeepAlive(http.HandlerFunc(cookies)), "GET", "/"))
		if want := "Bearer " + b.get("__Host-accessToken") + "3"; got != want || b.get("__Host-accessToken") == raw {
			t.Errorf("the handler sees %d bytes, want the %d of the new token", len(got), len(want))
		}
	})
}
