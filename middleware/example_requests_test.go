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

// A handler asks for a role that its user has been given since the last sign-in.
// Its 401 makes the middleware fetch a new token, and run it again with the same
// body.
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

// One token that has come into the wrong hands is good no more, and the login that
// it belongs to goes on.
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
