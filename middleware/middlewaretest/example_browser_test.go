package middlewaretest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/middlewaretest"
)

// A browser that visits twice: the cookies of the first answer are those of the
// second request.
func ExampleKeep() {
	p := new(middlewaretest.Provider)
	defer p.Close()
	auth := &middleware.Auth{Verifier: p, Refresher: p}
	defer auth.Close()
	site := auth.Require(http.HandlerFunc(hello))

	r := httptest.NewRequest("GET", "/", nil)
	middlewaretest.SignIn(auth, r, p.Login(map[string]any{"sub": "ann", "groups": "staff", "iat": 1, "exp": 2}))
	for range 2 {
		w := httptest.NewRecorder()
		site.ServeHTTP(w, r)
		fmt.Println(w.Code, len(w.Result().Cookies()), "cookies set")
		middlewaretest.Keep(r, w.Result())
	}
	fmt.Println(p.Endpoint.Stats().Refreshed, "refresh")
	// Output:
	// 200 3 cookies set
	// 200 0 cookies set
	// 1 refresh
}

// A key that the provider withdraws ends the tokens that it has signed, and no
// login: the next request is refreshed.
func ExampleProvider_RotateKey() {
	p := new(middlewaretest.Provider)
	defer p.Close()
	auth := &middleware.Auth{Verifier: p, Refresher: p}
	defer auth.Close()
	site := auth.Require(http.HandlerFunc(hello))

	bearer, browser := httptest.NewRequest("GET", "/", nil), httptest.NewRequest("GET", "/", nil)
	bearer.Header.Set("Authorization", "Bearer "+p.Token(map[string]any{"groups": "staff"}))
	middlewaretest.SignIn(auth, browser, p.Login(map[string]any{"groups": "staff"}))

	p.RotateKey()
	for _, r := range []*http.Request{bearer, browser} {
		w := httptest.NewRecorder()
		site.ServeHTTP(w, r)
		fmt.Println(w.Code)
	}
	// Output:
	// 401
	// 200
}

// While nobody can tell whether a token is good, nobody is signed out.
func ExampleProvider_KeysDown() {
	p := new(middlewaretest.Provider)
	defer p.Close()
	auth := &middleware.Auth{Verifier: p}
	site := auth.Require(http.HandlerFunc(hello))
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer "+p.Token(map[string]any{"groups": "staff"}))

	for _, down := range []bool{true, false} {
		p.KeysDown(down)
		w := httptest.NewRecorder()
		site.ServeHTTP(w, r)
		fmt.Println(w.Code)
	}
	// Output:
	// 503
	// 200
}
