package middleware_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/middlewaretest"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh/event"
)

// A page without a login is redirected to the sign-in, and back to where it
// was. A script is answered with 401.
func ExampleAuth_loginURL() {
	p := new(middlewaretest.Provider)
	defer p.Close()
	auth := &middleware.Auth{Verifier: p, LoginURL: "/auth/login"}
	site := auth.Require(http.NotFoundHandler())
	for _, mode := range []string{"navigate", "cors"} {
		r := httptest.NewRequest("GET", "/orders?year=2026", nil)
		r.Header.Set("Sec-Fetch-Mode", mode)
		w := httptest.NewRecorder()
		site.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Header().Get("Location"))
	}
	// Output:
	// 302 /auth/login?return_to=%2Forders%3Fyear%3D2026
	// 401
}

// A script calls this endpoint when the marker is absent.
func ExampleAuth_RefreshHandler() {
	p := new(middlewaretest.Provider)
	defer p.Close()
	auth := &middleware.Auth{Verifier: p, Refresher: p}
	defer auth.Close()

	r := httptest.NewRequest("POST", "/auth/refresh", nil)
	for range 2 {
		w := httptest.NewRecorder()
		auth.RefreshHandler().ServeHTTP(w, r)
		fmt.Println(w.Code, len(w.Result().Cookies()), "cookies")
		middlewaretest.SignIn(auth, r, p.Login(nil))
	}
	// Output:
	// 401 0 cookies
	// 204 3 cookies
}

// A page calls this endpoint to show who is signed in.
func ExampleAuth_Session() {
	p := new(middlewaretest.Provider)
	defer p.Close()
	auth := &middleware.Auth{Verifier: p, Refresher: p}
	defer auth.Close()

	w := httptest.NewRecorder()
	auth.Session().ServeHTTP(w, httptest.NewRequest("GET", "/auth/session", nil))
	fmt.Print(w.Code, " ", w.Body)
	// Output: 200 {"authenticated":false,"expires_in":0}
}

// A form or a script signs the user out by POST. The provider revokes the
// tokens.
func ExampleAuth_Logout() {
	p := new(middlewaretest.Provider)
	defer p.Close()
	auth := &middleware.Auth{Verifier: p, Refresher: p}
	defer auth.Close()
	mux := http.NewServeMux()
	mux.Handle("/auth/logout", auth.Logout(nil))

	r := httptest.NewRequest("POST", "/auth/logout?return_to=/bye", nil)
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	login := p.Login(nil)
	middlewaretest.SignIn(auth, r, login)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Header().Get("Location"), "- live:", p.Endpoint.Live(login))
	// Output: 303 /bye - live: false
}

// A handler signs its user out as a part of its work.
func ExampleAuth_SignOut() {
	p := new(middlewaretest.Provider)
	defer p.Close()
	auth := &middleware.Auth{Verifier: p, Refresher: p}
	defer auth.Close()
	closeAccount := auth.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		auth.SignOut(w, r) // before anything is written
		w.WriteHeader(http.StatusNoContent)
	}))

	r := httptest.NewRequest("POST", "/account/close", nil)
	middlewaretest.SignIn(auth, r, p.Login(nil))
	w := httptest.NewRecorder()
	closeAccount.ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		fmt.Printf("%s=%s deleted: %t\n", c.Name, c.Value, c.MaxAge < 0)
	}
	// Output:
	// tokenLife=0 deleted: false
	// __Host-accessToken= deleted: true
	// __Host-refreshToken= deleted: true
}

// A login that was stolen ends at once, and the user's others go on.
func ExampleRevocations_RevokeLogin() {
	p := new(middlewaretest.Provider)
	defer p.Close()
	auth := &middleware.Auth{Verifier: p, Revocations: new(middleware.Revocations)}
	site := auth.Require(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))

	stolen := p.Token(map[string]any{"sub": "ann", "sid": "s-1"})
	other := p.Token(map[string]any{"sub": "ann", "sid": "s-2"})
	if err := auth.Revocations.RevokeLogin(context.Background(), p.Issuer().URL, "s-1", time.Time{}); err != nil {
		fmt.Println(err)
	}
	for _, token := range []string{stolen, other} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		site.ServeHTTP(w, r)
		fmt.Println(w.Code)
	}
	// Output:
	// 401
	// 200
}

// Only a path on this origin is safe in a Location header.
func ExampleReturnTo() {
	for _, target := range []string{"/orders?year=2026", "https://elsewhere.example/", "//elsewhere.example", `/\elsewhere.example`} {
		fmt.Println(middleware.ReturnTo(target))
	}
	// Output:
	// /orders?year=2026
	// /
	// /
	// /
}

// Observe hears of each request, for a log or a metric.
func ExampleEvent() {
	p := new(middlewaretest.Provider)
	defer p.Close()
	auth := &middleware.Auth{
		Verifier:  p,
		Refresher: p,
		Observe: func(_ context.Context, e event.Event) {
			fmt.Println(e.Level, e.Kind, e.LogValue()) // or slog.LogAttrs(ctx, e.Level, string(e.Kind), slog.Any("", e))
		},
	}
	defer auth.Close()
	site := auth.Require(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))

	r := httptest.NewRequest("GET", "/", nil)
	site.ServeHTTP(httptest.NewRecorder(), r)
	r.Header.Set("Authorization", "Bearer "+p.Token(map[string]any{"sub": "ann"}))
	site.ServeHTTP(httptest.NewRecorder(), r)
	// Output:
	// DEBUG refused [reason=no_token error=middleware: refused with 401: middleware: no access token]
	// DEBUG verified [bearer=true issuer=https://provider.test subject=ann]
}

// For a test of a handler, package middlewaretest makes tokens from claims.
func ExampleNewContext() {
	ctx := middleware.NewContext(context.Background(), &verify.Token{Subject: "ann"})
	token, ok := middleware.FromContext(ctx)
	fmt.Println(token.Subject, ok)
	// Output: ann true
}
