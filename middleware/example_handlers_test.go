package middleware_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/middlewaretest"
)

// A browser comes back after its access token has expired. The handler gets the
// new one, and the response sets the new cookies.
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

// The groups of a user are in the claim that verify.Issuer.GroupsClaim names.
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

// Check is for code that is not a middleware, such as a handler that decides
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
// KeepAlive makes sure that they get good ones.
func ExampleAuth_KeepAlive() {
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
	for _, handler := range []http.Handler{theirs, auth.KeepAlive(theirs)} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(w.Code)
	}
	// Output:
	// 401
	// 200
}

// With ForwardToken, a handler that forwards requests finds the token of the
// cookies in the Authorization header, where other servers expect it.
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

// Any handler behind the middleware gets the token from the context.
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

// A form on another site cannot use a login in cookies, unless its origin is
// trusted.
func ExampleAuth_crossOrigin() {
	p := new(middlewaretest.Provider)
	defer p.Close()
	trusted := http.NewCrossOriginProtection()
	if err := trusted.AddTrustedOrigin("https://admin.example"); err != nil {
		fmt.Println(err)
		return
	}
	auth := &middleware.Auth{Verifier: p, CrossOrigin: trusted}
	site := auth.Require(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))

	for _, origin := range []string{"https://shop.example", "https://admin.example", "https://elsewhere.example"} {
		r := httptest.NewRequest("POST", "https://shop.example/orders", nil)
		middlewaretest.SignIn(auth, r, p.Login(nil))
		r.Header.Set("Origin", origin)
		w := httptest.NewRecorder()
		site.ServeHTTP(w, r)
		fmt.Println(origin, w.Code)
	}
	// Output:
	// https://shop.example 200
	// https://admin.example 200
	// https://elsewhere.example 403
}

// A handler requires a role that its user has been given since the last
// sign-in. Its 401 makes the middleware refresh the token, and run the handler
// again with the same body.
func ExampleAuth_replay() {
	p := new(middlewaretest.Provider)
	defer p.Close()
	auth := &middleware.Auth{Verifier: p, Refresher: p}
	defer auth.Close()
	old := p.Login(map[string]any{"iat": 1}) // not a token of a moment ago
	site := auth.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := middleware.FromContext(r.Context())
		if token.Raw == old.Access {
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, "published: ", r.FormValue("title"))
	}))

	r := httptest.NewRequest("POST", "/articles", strings.NewReader("title=news"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	middlewaretest.SignIn(auth, r, old)
	w := httptest.NewRecorder()
	site.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)
	// Output: 200 published: news
}

// A stolen token is revoked, and its login goes on.
func ExampleRevocations_RevokeToken() {
	p := new(middlewaretest.Provider)
	defer p.Close()
	auth := &middleware.Auth{Verifier: p, Refresher: p, Revocations: new(middleware.Revocations)}
	defer auth.Close()
	site := auth.Require(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	login := p.Login(nil)
	token, err := p.Verify(context.Background(), login.Access)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := auth.Revocations.RevokeToken(context.Background(), token); err != nil {
		fmt.Println(err)
	}

	bearer, browser := httptest.NewRequest("GET", "/", nil), httptest.NewRequest("GET", "/", nil)
	bearer.Header.Set("Authorization", "Bearer "+login.Access)
	if err := auth.Cookies.Replace(browser.Header, login); err != nil {
		fmt.Println(err)
	}
	for _, r := range []*http.Request{bearer, browser} {
		w := httptest.NewRecorder()
		site.ServeHTTP(w, r)
		fmt.Println(w.Code)
	}
	// Output:
	// 401
	// 200
}

// A mistake is best found when a program starts.
func ExampleAuth_Validate() {
	fmt.Println(new(middleware.Auth).Validate())
	// Output: middleware: Auth.Verifier is nil
}
