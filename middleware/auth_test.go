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

	"github.com/tokenlife/tokenlife/cookies"
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

func TestWrongConfigurationIsOneLineThatNamesTheField(t *testing.T) {
	good := middleware.VerifierFunc(func(context.Context, string) (*verify.Token, error) { return nil, verify.ErrInvalid })
	for _, tt := range []struct {
		auth *middleware.Auth
		want string
	}{
		{&middleware.Auth{}, "Auth.Verifier"},
		{&middleware.Auth{Verifier: good, Realm: "a\"b"}, "Auth.Realm"},
		{&middleware.Auth{Verifier: good, LoginURL: "javascript:alert(1)"}, "Auth.LoginURL"},
		{&middleware.Auth{Verifier: good, LoginURL: "login"}, "Auth.LoginURL"},
		{&middleware.Auth{Verifier: good, Cookies: cookies.Policy{Prefix: "x"}}, "Auth.Cookies: cookies: Policy.Prefix"},
		{&middleware.Auth{Verifier: good, Refresher: &refresh.Coordinator{}}, "Auth.Refresher: refresh: Coordinator.Refresher"},
		{&middleware.Auth{Verifier: good, Refresher: &refresh.OAuth2{}}, "Auth.Refresher: refresh: OAuth2."},
		{&middleware.Auth{Verifier: good, Refresher: &refresh.Coordinator{Refresher: &refresh.Cognito{}}}, "Auth.Refresher: refresh: Cognito."},
	} {
		err := tt.auth.Validate()
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v does not name %s in one line", err, tt.want)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Require accepts what Validate refuses: %s", tt.want)
				}
			}()
			tt.auth.Require(whoami)
		}()
	}
}

func TestClaimsAndFromContextWithoutAToken(t *testing.T) {
	if _, ok := middleware.FromContext(t.Context()); ok {
		t.Error("a token out of nowhere")
	}
	if _, err := middleware.Claims[map[string]any](t.Context()); err == nil {
		t.Error("claims out of nowhere")
	}
}
