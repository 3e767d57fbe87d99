package middleware_test

import (
	"context"
	"errors"
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

func TestWhatARequestIsAnsweredWith(t *testing.T) {
	good := accessToken("ann", 0, time.Now())
	expired := accessToken("ann", 0, time.Now().Add(-2*life))
	cookie := func(tokens ...string) string {
		s := "__Host-accessToken=" + tokens[0]
		if len(tokens) > 1 {
			s += "; __Host-refreshToken=" + tokens[1]
		}
		return s
	}
	const (
		none    = `Bearer realm="api"`
		invalid = `Bearer realm="api", error="invalid_token", error_description="the access token is missing, malformed, expired or revoked"`
		request = `Bearer realm="api", error="invalid_request"`
	)
	tests := []struct {
		name      string
		method    string
		headers   []string
		status    int
		challenge string
		optional  int // the status of Optional
	}{
		{"nothing at all", "GET", nil, 401, none, 200},
		{"a good bearer token", "GET", []string{"Authorization", "Bearer " + good}, 200, "", 200},
		{"a scheme in lower case", "GET", []string{"Authorization", "bearer " + good}, 200, "", 200},
		{"an expired bearer token", "GET", []string{"Authorization", "Bearer " + expired}, 401, invalid, 401},
		{"a bearer token that never was good", "GET", []string{"Authorization", "Bearer x"}, 401, invalid, 401},
		{"a bearer token beside good cookies decides alone", "GET", []string{"Authorization", "Bearer x", "Cookie", cookie(good)}, 401, invalid, 401},
		{"a bearer token without the token", "GET", []string{"Authorization", "Bearer"}, 400, request, 400},
		{"a bearer token of two words", "GET", []string{"Authorization", "Bearer a b"}, 400, request, 400},
		{"a bearer token with a byte that no token has", "GET", []string{"Authorization", "Bearer a\x7f"}, 400, request, 400},
		{"another scheme with good cookies", "GET", []string{"Authorization", "Basic YTpi", "Cookie", cookie(good)}, 200, "", 200},
		{"another scheme alone", "GET", []string{"Authorization", "Basic YTpi"}, 401, none, 200},
		{"a good cookie", "GET", []string{"Cookie", cookie(good)}, 200, "", 200},
		{"an expired cookie and nothing to refresh with", "GET", []string{"Cookie", cookie(expired)}, 401, invalid, 200},
		{"a cookie of a made-up token", "GET", []string{"Cookie", cookie("x")}, 401, invalid, 200},
		{"two access cookies: none is believed", "GET", []string{"Cookie", cookie(good) + "; " + cookie(good)}, 401, none, 200},
		{"a post of the same origin", "POST", []string{"Cookie", cookie(good), "Sec-Fetch-Site", "same-origin"}, 200, "", 200},
		{"a post of another site on cookies", "POST", []string{"Cookie", cookie(good), "Sec-Fetch-Site", "cross-site"}, 403, "", 403},
		{"a post of another origin on cookies, in an old browser", "POST", []string{"Cookie", cookie(good), "Origin", "https://evil.test"}, 403, "", 403},
		{"a post of another site with a bearer token", "POST", []string{"Authorization", "Bearer " + good, "Sec-Fetch-Site", "cross-site"}, 200, "", 200},
		{"a WebSocket of another origin on cookies", "GET", []string{"Cookie", cookie(good), "Upgrade", "websocket", "Origin", "https://evil.test"}, 403, "", 403},
		{"a WebSocket of this origin on cookies", "GET", []string{"Cookie", cookie(good), "Upgrade", "websocket", "Origin", "https://app.test"}, 200, "", 200},
		{"a post of another site, and only a refresh cookie", "POST", []string{"Cookie", "__Host-refreshToken=ann~0~r", "Sec-Fetch-Site", "cross-site"}, 403, "", 403},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld()
			for _, use := range []struct {
				handler http.Handler
				status  int
			}{{w.Require(whoami), tt.status}, {w.Optional(whoami), tt.optional}} {
				r := httptest.NewRequest(tt.method, "https://app.test/", nil)
				for i := 0; i < len(tt.headers); i += 2 {
					r.Header.Add(tt.headers[i], tt.headers[i+1])
				}
				res := serve(use.handler, r)
				wantStatus(t, res, use.status)
				if use.status == tt.status {
					if got := res.Header.Get("WWW-Authenticate"); got != tt.challenge {
						t.Errorf("challenge %q, want %q", got, tt.challenge)
					}
				}
				if use.status != 200 && res.Header.Get("Cache-Control") != "private, no-store" {
					t.Errorf("a refusal may be cached: %q", res.Header.Get("Cache-Control"))
				}
				wantCookies(t, res, 0)
			}
			w.provider.expect(t, 0, 0)
		})
	}
}

func TestTwoAuthorizationHeadersAreMalformed(t *testing.T) {
	w := newWorld()
	r := httptest.NewRequest("GET", "/", nil)
	r.Header["Authorization"] = []string{"Bearer a", "Basic b"}
	res := serve(w.Optional(whoami), r)
	wantStatus(t, res, 400)
	if got := body(t, res); got != `{"title":"Bad Request","status":400}` || res.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("body %q of type %q", got, res.Header.Get("Content-Type"))
	}
}

func TestOptionalLetsADeadLoginPassAsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		b := w.signIn(t, "ann")
		h := w.Optional(whoami)
		<-time.After(life)
		if got := body(t, b.do(h, "GET", "/")); got != "ann" {
			t.Errorf("a login was not kept alive: %s", got)
		}
		<-time.After(life)
		w.provider.set(func(p *provider) { p.err = fmt.Errorf("%w: test", refresh.ErrDenied) })
		res := b.do(h, "GET", "/")
		if got := body(t, res); res.StatusCode != 200 || got != "nobody" || b.get("tokenLife") != "0" {
			t.Errorf("%d, %s, marker %s", res.StatusCode, got, b.get("tokenLife"))
		}
		closeWorld(t, w)
	})
}

func TestALoginThatIsOverGetsNoLeeway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.checker.leeway = 30 * time.Second
		b := w.signIn(t, "ann")
		<-time.After(life + 10*time.Second)
		w.provider.set(func(p *provider) { p.err = errors.New("test: down") })
		wantStatus(t, b.do(w.Require(whoami), "GET", "/"), 200)
		<-time.After(5 * time.Second) // the next one to ask
		w.provider.set(func(p *provider) { p.err = fmt.Errorf("%w: test", refresh.ErrDenied) })
		wantStatus(t, b.do(w.Require(whoami), "GET", "/"), 401)
		closeWorld(t, w)
	})
}

func TestRequireScope(t *testing.T) {
	w := newWorld()
	b := w.signIn(t, "ann")
	wantStatus(t, b.do(w.RequireScope("read", "write")(whoami), "GET", "/"), 200)
	res := b.do(w.RequireScope("read", "admin")(whoami), "GET", "/")
	wantStatus(t, res, 403)
	if got, want := res.Header.Get("WWW-Authenticate"), `Bearer realm="api", error="insufficient_scope", scope="read admin"`; got != want {
		t.Errorf("challenge %q, want %q", got, want)
	}
	wantStatus(t, serve(w.RequireScope("read")(whoami), httptest.NewRequest("GET", "/", nil)), 401)
	defer func() {
		if recover() == nil {
			t.Error("RequireScope without a scope is taken")
		}
	}()
	w.RequireScope()
}

func TestCheckDecidesWithoutAHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		b := w.signIn(t, "ann")
		<-time.After(life)
		rec := httptest.NewRecorder()
		r, err := w.Check(rec, b.request("GET", "/"))
		if err != nil {
			t.Fatal(err)
		}
		if token, ok := middleware.FromContext(r.Context()); !ok || token.Subject != "ann" {
			t.Error("no token in the context")
		}
		wantCookies(t, rec.Result(), 3)
		_, err = w.Check(rec, httptest.NewRequest("GET", "/", nil))
		var refusal *middleware.Refusal
		if !errors.As(err, &refusal) || refusal.Status != 401 {
			t.Errorf("got %v", err)
		}
		if _, err := (&middleware.Auth{}).Check(rec, r); err == nil {
			t.Error("an Auth without a Verifier lets requests pass")
		}
		closeWorld(t, w)
	})
}

func TestClaimsAndFromContextWithoutAToken(t *testing.T) {
	if _, ok := middleware.FromContext(t.Context()); ok {
		t.Error("a token out of nowhere")
	}
	if _, err := middleware.Claims[map[string]any](t.Context()); err == nil {
		t.Error("claims out of nowhere")
	}
}

func TestRequireGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &middleware.Auth{Verifier: middleware.VerifierFunc(func(_ context.Context, raw string) (*verify.Token, error) {
			if raw == "bad" {
				return nil, verify.ErrInvalid
			}
			return &verify.Token{Raw: raw, Subject: "ann", Groups: strings.Split(raw, "+"), Expiry: time.Now().Add(time.Hour)}, nil
		})}
		for name, test := range map[string]struct {
			token  string
			groups []string
			status int
			error  string
		}{
			"a member":                    {"admins", []string{"admins"}, 200, ""},
			"a member of others too":      {"users+admins", []string{"admins"}, 200, ""},
			"a member of both":            {"users+admins", []string{"admins", "users"}, 200, ""},
			"a member of one of two":      {"users", []string{"admins", "users"}, 403, "insufficient_scope"},
			"a member of another":         {"administrators", []string{"admins"}, 403, "insufficient_scope"},
			"one whose token is not good": {"bad", []string{"admins"}, 401, "invalid_token"},
		} {
			r := httptest.NewRequest("GET", "/", nil)
			r.Header.Set("Authorization", "Bearer "+test.token)
			res := serve(a.RequireGroup(test.groups...)(whoami), r)
			challenge := res.Header.Get("WWW-Authenticate")
			if res.StatusCode != test.status || (test.error == "") != (challenge == "") || !strings.Contains(challenge, test.error) {
				t.Errorf("%s: answered %d with %q, want %d and %q", name, res.StatusCode, challenge, test.status, test.error)
			}
			if strings.Contains(challenge, "admins") || strings.Contains(challenge, "ann") || strings.Contains(challenge, "scope=") {
				t.Errorf("%s: the challenge says too much: %q", name, challenge)
			}
		}
		defer func() {
			if recover() == nil {
				t.Error("RequireGroup without a group does not panic")
			}
		}()
		a.RequireGroup()
	})
}

func TestKeepAliveKeepsALoginAliveForAHandlerThatVerifiesByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(func(a *middleware.Auth) { a.ForwardToken = true })
		b := w.signIn(t, "ann")
		own := func(rw http.ResponseWriter, r *http.Request) {
			if _, ok := middleware.FromContext(r.Context()); ok {
				t.Error("the handler has a token from us")
			}
			raw := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
			if c, err := r.Cookie("__Host-accessToken"); err == nil && raw != "" && c.Value != raw {
				t.Error("the cookie and the header differ")
			}
			token, err := w.checker.Verify(r.Context(), raw)
			if err != nil || strings.Contains(raw, "~2~") && r.URL.Path == "/revoked" {
				rw.WriteHeader(http.StatusUnauthorized)
				return
			}
			fmt.Fprint(rw, token.Subject)
		}
		h := w.KeepAlive(http.HandlerFunc(own))
		for range 3 {
			res := b.do(h, "GET", "/")
			if got := body(t, res); got != "ann" {
				t.Errorf("%d %q", res.StatusCode, got)
			}
		}
		w.provider.expect(t, 0, 0)
		<-time.After(46 * time.Second) // the marker has gone
		res := b.do(h, "GET", "/")
		wantStatus(t, res, 200)
		wantCookies(t, res, 3)
		w.provider.expect(t, 1, 0)
		b.jar["tokenLife"] = stored{value: "946684800.AAAAAAAA"} // its time has passed
		wantStatus(t, b.do(h, "GET", "/"), 200)
		w.provider.expect(t, 2, 0)
		<-time.After(20 * time.Second)
		wantStatus(t, b.do(h, "GET", "/revoked"), 200) // after a 401
		w.provider.expect(t, 3, 0)

		r := httptest.NewRequest("GET", "https://app.test/", nil)
		wantStatus(t, serve(h, r), 401) // nobody, said by the handler
		r.Header.Set("Authorization", "Bearer "+accessToken("bob", 0, time.Now()))
		if got := body(t, serve(h, r)); got != "bob" {
			t.Errorf("got %q", got)
		}
		<-time.After(life)
		res = b.do(h, "POST", "/", "Sec-Fetch-Site", "cross-site")
		wantStatus(t, res, 401)
		w.provider.expect(t, 3, 0)
		w.provider.set(func(p *provider) { p.err = fmt.Errorf("%w: test", refresh.ErrDenied) })
		res = b.do(h, "GET", "/")
		if b.get("tokenLife") != "0" || b.get("__Host-refreshToken") != "" {
			t.Errorf("%d, %v", res.StatusCode, b.jar)
		}
		closeWorld(t, w)
	})
}

// A handler trusts the Authorization header. So ForwardToken must not set it
// for a request that a page of another site has sent.
func TestKeepAliveGivesRequestsOfAnotherOriginNothing(t *testing.T) {
	tests := []struct {
		name    string
		method  string
		headers []string
		runs    int
		token   bool
	}{
		{"a form", "POST", []string{"Sec-Fetch-Site", "cross-site"}, 1, false},
		{"a script of a neighbour", "DELETE", []string{"Sec-Fetch-Site", "same-site"}, 1, false},
		{"a form, told by its Origin", "POST", []string{"Origin", "https://other.test"}, 1, false},
		{"a WebSocket handshake", "GET", []string{"Sec-Fetch-Site", "cross-site", "Connection", "Upgrade", "Upgrade", "websocket"}, 1, false},
		{"a link", "GET", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, 2, true},
		{"a form of the site's own", "POST", []string{"Sec-Fetch-Site", "same-origin"}, 2, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, age := range []time.Duration{life / 2, life} {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(func(a *middleware.Auth) { a.ForwardToken = true })
					b := w.signIn(t, "ann")
					<-time.After(age)
					runs := 0
					res := b.do(w.KeepAlive(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
						runs++
						if got := r.Header.Get("Authorization") != ""; got != tt.token {
							t.Errorf("run %d: a token in the header: %v, want %v", runs, got, tt.token)
						}
						rw.Header().Set("WWW-Authenticate", "Bearer")
						rw.WriteHeader(http.StatusUnauthorized)
					})), tt.method, "/", tt.headers...)
					want := tt.runs
					if age == life {
						want = 1 // it has been refreshed before
					}
					calls := 0
					if tt.token {
						calls = 1
					}
					if runs != want || len(res.Cookies()) != 3*calls {
						t.Errorf("%v: run %d times, with %d cookies in the answer, want %d and %d", age, runs, len(res.Cookies()), want, 3*calls)
					}
					w.provider.expect(t, calls, 0)
					closeWorld(t, w)
				})
			}
		})
	}
}
