package middleware_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/middlewaretest"
)

// A browser comes back after its access token has ended. The handler sees the new
// one, and the browser gets the new cookies with the answer.
func ExampleAuth() {
	p := new(middlewaretest.Provider) // verifies and refreshes, in the place of a real one
	defer p.Close()
	auth := &middleware.Auth{Verifier: p, Refresher: p}
	defer auth.Close()
	site := auth.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := middleware.FromContext(r.Context())
		fmt.Fprint(w, "hello ", token.Subject)
	}))

	r := httptest.NewRequest("GET", "/", nil)
	middlewaretest.SignIn(auth, r, p.Login(map[string]any{"sub": "ann", "iat": 1, "exp": 2}))
	w := httptest.NewRecorder()
	site.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body, "-", len(w.Result().Cookies()), "cookies, and", w.Header().Get("Cache-Control"))
	// Output: 200 hello ann - 3 cookies, and private, no-store
}

func ExampleAuth_RequireScope() {
	p := new(middlewaretest.Provider)
	defer p.Close()
	auth := &middleware.Auth{Verifier: p}
	mux := http.NewServeMux()
	mux.Handle("DELETE /orders/{id}", auth.RequireScope("orders:write")(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	})))

	for _, scope := range []string{"orders:read", "orders:read orders:write"} {
		r := httptest.NewRequest("DELETE", "/orders/1", nil)
		r.Header.Set("Authorization", "Bearer "+p.Token(map[string]any{"scope": scope}))
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))
	}
	// Output:
	// 403 Bearer realm="api", error="insufficient_scope", scope="orders:write"
	// 204
}

// Groups are what the claim says that verify.Issuer.GroupsClaim names.
func ExampleAuth_RequireGroup() {
	p := new(middlewaretest.Provider)
	defer p.Close()
	auth := &middleware.Auth{Verifier: p}
	staff := auth.RequireGroup("staff")(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "come in")
	}))

	for _, groups := range [][]string{{"customers"}, {"staff", "night shift"}} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", "Bearer "+p.Token(map[string]any{"groups": groups}))
		w := httptest.NewRecorder()
		staff.ServeHTTP(w, r)
		fmt.Println(w.Code)
	}
	// Output:
	// 403
	// 200
}

// Check is for code that is no middleware, such as a handler that decides for
// itself which requests need a login.
func ExampleAuth_Check() {
	p := new(middlewaretest.Provider)
	defer p.Close()
	auth := &middleware.Auth{Verifier: p}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("preview") == "" {
			var err error
			if r, err = auth.Check(w, r); err != nil {
				middleware.WriteError(w, r, err)
				return
			}
		}
		token, ok := middleware.FromContext(r.Context())
		if !ok {
			fmt.Fprint(w, "a preview")
			return
		}
		fmt.Fprint(w, "all of it, for ", token.Subject)
	})
	for _, target := range []string{"/?preview=1", "/"} {
		r := httptest.NewRequest("GET", target, nil)
		r.Header.Set("Authorization", "Bearer "+p.Token(nil))
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Body)
	}
	// Output:
	// 200 a preview
	// 200 all of it, for alice
}

// Another middleware verifies tokens, or a server behind a reverse proxy does.
// Renew only sees to it that they get good ones.
func ExampleAuth_Renew() {
	p := new(middlewaretest.Provider)
	defer p.Close()
	auth := &middleware.Auth{Verifier: p, Refresher: p, ForwardToken: true}
	defer auth.Close()
	theirs := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var raw string
		fmt.Sscanf(r.Header.Get("Authorization"), "Bearer %s", &raw)
		if _, err := p.Verify(r.Context(), raw); err != nil {
			w.Header().Set("WWW-Authenticate", "Bearer")
			w.WriteHeader(http.StatusUnauthorized)
		}
	})

	r := httptest.NewRequest("GET", "/", nil)
	middlewaretest.SignIn(auth, r, p.Login(map[string]any{"iat": 1, "exp": 2}))
	for _, handler := range []http.Handler{theirs, auth.Renew(theirs)} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(w.Code)
	}
	// Output:
	// 401
	// 200
}

// With ForwardToken, a handler that passes requests on finds the token of a
// browser's cookie where other servers look for it.
func ExampleAuth_forwardToken() {
	p := new(middlewaretest.Provider)
	defer p.Close()
	auth := &middleware.Auth{Verifier: p, ForwardToken: true}
	handler := auth.Require(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		token, _ := middleware.FromContext(r.Context())
		fmt.Println(r.Header.Get("Authorization") == "Bearer "+token.Raw)
	}))
	r := httptest.NewRequest("GET", "/", nil)
	middlewaretest.SignIn(auth, r, p.Login(nil))
	handler.ServeHTTP(httptest.NewRecorder(), r)
	// Output: true
}

// A handler far from the middleware asks the context.
func ExampleFromContext() {
	greet := func(ctx context.Context) string {
		token, ok := middleware.FromContext(ctx)
		if !ok {
			return "hello, stranger"
		}
		return "hello, " + token.Subject
	}
	fmt.Println(greet(context.Background()))
	fmt.Println(greet(middlewaretest.NewContext(context.Background(), map[string]any{"sub": "ann"})))
	// Output:
	// hello, stranger
	// hello, ann
}
