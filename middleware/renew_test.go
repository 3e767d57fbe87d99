package middleware_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/refresh"
)

func TestRenewKeepsALoginAliveForAHandlerThatVerifiesByItself(t *testing.T) {
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
		h := w.Renew(http.HandlerFunc(own))
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

// A handler that takes a token in the header for the client's own word must not
// get it for what another site's page has sent.
func TestRenewGivesRequestsOfAnotherOriginNothing(t *testing.T) {
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
					res := b.do(w.Renew(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
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
