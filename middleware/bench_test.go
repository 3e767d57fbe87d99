package middleware_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
)

// The benchmarks compare with the same work by hand on keyfunc and golang-jwt.
// On a shared machine only the ratios within one run are meaningful. The
// compiler cannot inline the handlers, which would make the results too good.

type bench struct {
	token string
	jwks  []byte
}

func newBench(b testing.TB) *bench {
	b.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	n := base64.RawURLEncoding.EncodeToString(key.N.Bytes())
	jwks, err := json.Marshal(map[string]any{"keys": []any{map[string]any{
		"kty": "RSA", "kid": "the-key-of-the-benchmark-in-44-characters====", "alg": "RS256", "use": "sig", "n": n, "e": "AQAB",
	}}})
	if err != nil {
		b.Fatal(err)
	}
	now := time.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"iss": "https://issuer.test/pool", "sub": "8d7f0c3e-0000-4000-8000-000000000001", "aud": "client-of-the-benchmark",
		"exp": now.Add(6 * time.Hour).Unix(), "iat": now.Unix(), "jti": "8d7f0c3e-0000-4000-8000-000000000002",
		"scope": "openid email", "token_use": "access", "client_id": "client-of-the-benchmark", "username": "user-00001",
		"origin_jti": "8d7f0c3e-0000-4000-8000-000000000003", "event_id": "8d7f0c3e-0000-4000-8000-000000000004",
		"auth_time": now.Unix(), "cognito:groups": []string{"admins"},
	})
	token.Header["kid"] = "the-key-of-the-benchmark-in-44-characters===="
	raw, err := token.SignedString(key)
	if err != nil {
		b.Fatal(err)
	}
	return &bench{raw, jwks}
}

func (x *bench) auth(b testing.TB) *middleware.Auth {
	b.Helper()
	v, err := verify.New(verify.Issuer{
		URL: "https://issuer.test/pool", Audience: []string{"client-of-the-benchmark"}, Algorithms: []string{"RS256"},
		Keys: func(context.Context) ([]byte, error) { return x.jwks, nil },
	})
	if err != nil {
		b.Fatal(err)
	}
	return &middleware.Auth{Verifier: v}
}

// byHand is what a Go developer writes without this package.
func (x *bench) byHand(b testing.TB, next http.Handler) http.Handler {
	b.Helper()
	keys, err := keyfunc.NewJWKSetJSON(x.jwks)
	if err != nil {
		b.Fatal(err)
	}
	type claims struct {
		jwt.RegisteredClaims
		ClientID string `json:"client_id"`
	}
	type contextKey struct{}
	p := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithIssuer("https://issuer.test/pool"), jwt.WithAudience("client-of-the-benchmark"), jwt.WithExpirationRequired())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := new(claims)
		if _, err := p.ParseWithClaims(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), c, keys.Keyfunc); err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), contextKey{}, c)))
	})
}

// none is a ResponseWriter that keeps the status alone.
type none struct {
	header http.Header
	status int
}

func (w *none) Header() http.Header { return w.header }
func (w *none) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return len(p), nil
}

func (w *none) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

//go:noinline
func opaque(h http.HandlerFunc) http.Handler { return h }

var okBody = []byte("ok")

var ok = opaque(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(okBody) })

func request(header, value string) *http.Request {
	r, err := http.NewRequest(http.MethodGet, "https://app.test/", nil)
	if err != nil {
		panic(err)
	}
	r.Header.Set(header, value)
	r.Header.Set("User-Agent", "benchmark")
	return r
}

func run(b *testing.B, h http.Handler, r *http.Request, status int) {
	b.Helper()
	w := &none{header: make(http.Header)}
	h.ServeHTTP(w, r)
	if w.status != status {
		b.Fatalf("answered %d, want %d", w.status, status)
	}
	b.ReportAllocs()
	for b.Loop() {
		w.status = 0
		clear(w.header)
		h.ServeHTTP(w, r)
	}
}

// cookies returns a request of the token's user: without a refresh token, or
// with one and a marker whose expiry has not passed.
func (x *bench) cookies(kept bool) *http.Request {
	value := "theme=dark; __Host-accessToken=" + x.token
	if kept {
		value += "; __Host-refreshToken=" + strings.Repeat("r", 1785)
	}
	return request("Cookie", value+"; tokenLife=4102444800.RgwEa2-D")
}

func (x *bench) header() *http.Request { return request("Authorization", "Bearer "+x.token) }

// kept is auth with a Refresher, which is not called.
func (x *bench) kept(b testing.TB) *middleware.Auth {
	b.Helper()
	a := x.auth(b)
	a.Refresher = refresh.Func(func(context.Context, refresh.Tokens) (refresh.Tokens, error) {
		return refresh.Tokens{}, refresh.ErrDenied
	})
	return a
}

// BenchmarkRequest is one request that passes without a refresh.
func BenchmarkRequest(b *testing.B) {
	x := newBench(b)
	b.Run("by-hand", func(b *testing.B) { run(b, x.byHand(b, ok), x.header(), 200) })
	b.Run("header", func(b *testing.B) { run(b, x.auth(b).Require(ok), x.header(), 200) })
	b.Run("cookie", func(b *testing.B) { run(b, x.auth(b).Require(ok), x.cookies(false), 200) })
	b.Run("login", func(b *testing.B) { run(b, x.kept(b).Require(ok), x.cookies(true), 200) })
	b.Run("login-renew", func(b *testing.B) { run(b, x.kept(b).KeepAlive(ok), x.cookies(true), 200) })
}

// BenchmarkRevocations is the cost of Revocations, by itself and as a part of a
// request.
func BenchmarkRevocations(b *testing.B) {
	x := newBench(b)
	b.Run("request", func(b *testing.B) {
		a := x.auth(b)
		a.Revocations = &middleware.Revocations{}
		run(b, a.Require(ok), request("Authorization", "Bearer "+x.token), 200)
	})
	token, err := x.auth(b).Verifier.Verify(b.Context(), x.token)
	if err != nil {
		b.Fatal(err)
	}
	anonymous := *token
	anonymous.Session, anonymous.ID = "", ""
	for name, token := range map[string]*verify.Token{"check": token, "check-no-jti": &anonymous} {
		b.Run(name, func(b *testing.B) {
			v := &middleware.Revocations{}
			b.ReportAllocs()
			for b.Loop() {
				if err := v.Check(b.Context(), token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRefusal is the 401 for a request without a credential.
func BenchmarkRefusal(b *testing.B) {
	x := newBench(b)
	b.Run("nothing", func(b *testing.B) { run(b, x.auth(b).Require(ok), request("Accept", "*/*"), 401) })
	b.Run("no-dots", func(b *testing.B) {
		run(b, x.auth(b).Require(ok), request("Authorization", "Bearer "+strings.Repeat("A", 700)), 401)
	})
}

// The race detector makes allocations of its own, so this file is not built for
// it.

// A request costs what the table in README says. A request without a refresh
// makes at most two allocations more than Verify alone.
func TestAllocationsOfARequest(t *testing.T) {
	said := saidAllocations(t)
	x := newBench(t)
	verifier := x.auth(t).Verifier
	alone := testing.AllocsPerRun(1000, func() {
		if _, err := verifier.Verify(t.Context(), x.token); err != nil {
			t.Error(err)
		}
	})
	for _, tt := range []struct {
		name    string
		handler http.Handler
		request *http.Request
		status  int
		most    float64
	}{
		{"a token that has been seen before, in the header", x.auth(t).Require(ok), x.header(), 200, alone + 2},
		{"the same in a cookie", x.auth(t).Require(ok), x.cookies(false), 200, alone + 2},
		{"the same of a login that can be refreshed", x.kept(t).Require(ok), x.cookies(true), 200, alone + 2},
		{"`KeepAlive`, where the marker has time left", x.kept(t).KeepAlive(ok), x.cookies(true), 200, alone + 2},
		{"refused with 401: no token", x.auth(t).Require(ok), request("Accept", "*/*"), 401, 6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := &none{header: make(http.Header)}
			got := testing.AllocsPerRun(1000, func() {
				w.status = 0
				clear(w.header)
				tt.handler.ServeHTTP(w, tt.request)
			})
			want, found := said[tt.name]
			switch {
			case w.status != tt.status:
				t.Errorf("answered %d, want %d", w.status, tt.status)
			case !found || got != want:
				t.Errorf("%v allocations, and README says %v (in a row of this name: %t)", got, want, found)
			case got > tt.most:
				t.Errorf("%v allocations, want %v at most", got, tt.most)
			}
		})
	}
}

// saidAllocations are the numbers of the table in README, by the names of its
// rows.
func saidAllocations(t *testing.T) map[string]float64 {
	t.Helper()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	said := make(map[string]float64)
	_, table, _ := strings.Cut(string(readme), "\n| | time | allocations |\n")
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 {
			break
		}
		if n, err := strconv.ParseFloat(strings.TrimSpace(cells[3]), 64); err == nil {
			said[strings.TrimSpace(cells[1])] = n
		}
	}
	return said
}
