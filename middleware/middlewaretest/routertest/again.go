package routertest

import (
	"net/http"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
)

// What may stand around a whole router, with the same Auth as within.
var arounds = map[string]func(*middleware.Auth, http.Handler) http.Handler{
	"Optional":  func(a *middleware.Auth, h http.Handler) http.Handler { return a.Optional(h) },
	"KeepAlive": func(a *middleware.Auth, h http.Handler) http.Handler { return a.KeepAlive(h) },
}

// testAgain is about handlers that answer 401 to a token that is good.
func testAgain(t *testing.T, protocol string, r Router) {
	optional, keepAlive := arounds["Optional"], arounds["KeepAlive"]
	tests := []struct {
		name    string
		around  func(*middleware.Auth, http.Handler) http.Handler
		request string
		age     time.Duration // of the token
		again   bool
	}{
		{"a handler that answers 401", nil, "GET /moody", time.Minute, r.Again},
		{"a handler that answers 401 to a POST", nil, "POST /moody", time.Minute, r.Again},
		{"Optional around the whole", optional, "GET /moody", time.Minute, true},
		{"Optional around the whole, and a POST", optional, "POST /moody", time.Minute, true},
		{"KeepAlive around the whole", keepAlive, "GET /moody", time.Minute, true},
		{"KeepAlive around the whole, and a POST", keepAlive, "POST /moody", time.Minute, true},
		{"a token that is new", optional, "GET /moody", 0, false},
		{"a token that is new, and a POST", keepAlive, "POST /moody", 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			now := time.Now()
			v := visit{
				request: tt.request, status: 401,
				login: map[string]any{"sub": "ann", "jti": moody, "iat": now.Add(-tt.age).Unix(), "exp": now.Add(4 * time.Minute).Unix()},
			}
			w := newWorld(t, protocol, r.Handler, tt.around)
			if tt.again {
				v.status, v.cookies, v.refreshes, v.body = 200, renewed, 1, "ann"
				if tt.request == "POST /moody" {
					v.body = body
				}
			}
			w.visitMoody(t, v)
		})
	}
}

// visitMoody is visit where a 401 is the handler's own.
func (w *world) visitMoody(t *testing.T, v visit) {
	if v.status != 401 {
		w.visit(t, v)
		return
	}
	method, path := v.request[:len(v.request)-len(" /moody")], "/moody"
	res, got := w.do(t, w.request(t, method, path, body, v.login))
	if res.StatusCode != 401 || res.Header.Get("Content-Type") == "application/problem+json" {
		t.Errorf("answered %d %q, want the handler's own 401", res.StatusCode, got)
	}
	if e := effectOf(t, res); e != untouched {
		t.Errorf("for the browser's cookies: it %s", e)
	}
	w.wantRefreshes(t, 0)
}
