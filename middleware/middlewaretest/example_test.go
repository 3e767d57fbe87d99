package middlewaretest_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/middlewaretest"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// hello is a handler as anybody may have one.
func hello(w http.ResponseWriter, r *http.Request) {
	token, ok := middleware.FromContext(r.Context())
	if !ok || !token.HasGroup("staff") {
		http.Error(w, "for staff", http.StatusForbidden)
		return
	}
	fmt.Fprintln(w, "hello", token.Subject)
}

// A handler alone: no server, no login, no provider.
func ExampleNewContext() {
	ctx := middlewaretest.NewContext(context.Background(), map[string]any{"sub": "ann", "groups": []string{"staff"}})
	w := httptest.NewRecorder()
	hello(w, httptest.NewRequest("GET", "/", nil).WithContext(ctx))
	fmt.Print(w.Code, " ", w.Body)
	// Output: 200 hello ann
}

// A handler behind its middleware, called with a token in the header. In a test,
// NewProvider(t) makes the Provider.
func ExampleProvider_Token() {
	p := new(middlewaretest.Provider)
	defer p.Close()
	auth := &middleware.Auth{Verifier: p}
	site := auth.RequireScope("write")(http.HandlerFunc(hello))

	for _, scope := range []string{"read", "read write"} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", "Bearer "+p.Token(map[string]any{"sub": "ann", "scope": scope, "groups": "staff"}))
		w := httptest.NewRecorder()
		site.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))
	}
	// Output:
	// 403 Bearer realm="api", error="insufficient_scope", scope="write"
	// 200
}

// A browser comes back when its access token has ended.
func ExampleSignIn() {
	p := new(middlewaretest.Provider)
	defer p.Close()
	auth := &middleware.Auth{Verifier: p, Refresher: p}
	defer auth.Close()
	site := auth.Require(http.HandlerFunc(hello))

	r := httptest.NewRequest("GET", "/", nil)
	middlewaretest.SignIn(auth, r, p.Login(map[string]any{"sub": "ann", "groups": "staff", "iat": 1, "exp": 2}))
	w := httptest.NewRecorder()
	site.ServeHTTP(w, r)
	fmt.Print(w.Code, " ", w.Body)
	for _, c := range w.Result().Cookies() {
		fmt.Println(c.Name)
	}
	fmt.Println(p.Endpoint.Stats().Refreshed, "refresh")
	// Output:
	// 200 hello ann
	// __Host-accessToken
	// __Host-refreshToken
	// tokenLife
	// 1 refresh
}

// What users see while the provider is down, and when it has ended their login.
func ExampleProvider() {
	p := new(middlewaretest.Provider)
	defer p.Close()
	auth := &middleware.Auth{Verifier: p, Refresher: p}
	defer auth.Close()
	site := auth.Require(http.HandlerFunc(hello))
	login := p.Login(map[string]any{"exp": 1, "iat": 1, "groups": "staff"})
	visit := func() {
		r := httptest.NewRequest("GET", "/", nil)
		middlewaretest.SignIn(auth, r, login)
		w := httptest.NewRecorder()
		site.ServeHTTP(w, r)
		fmt.Println(w.Code, "Retry-After:", w.Header().Get("Retry-After"))
	}

	p.Endpoint.Fail(refreshtest.Unavailable, 1)
	visit()
	p.Endpoint.End("alice")
	visit()
	// Output:
	// 503 Retry-After: 7
	// 401 Retry-After:
}
