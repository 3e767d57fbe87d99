package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/local"
)

// issuer is a service's own, as an example that needs no network.
var issuer = &local.Issuer{URL: "https://shop.example", Audience: []string{"shop"}}

func newAuth() *middleware.Auth {
	tokens, err := verify.New(verify.Issuer{URL: issuer.URL, Keys: issuer.JWKS, Audience: issuer.Audience})
	if err != nil {
		panic(err)
	}
	return &middleware.Auth{Verifier: tokens, Refresher: issuer}
}

func ExampleAuth_Require() {
	auth := newAuth()
	handler := auth.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := middleware.FromContext(r.Context())
		fmt.Fprint(w, "hello ", token.Subject)
	}))

	login, err := issuer.Login(context.Background(), "ann")
	if err != nil {
		panic(err)
	}
	for _, header := range []string{"Bearer " + login.Access, "Bearer x", ""} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", header)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"), w.Body)
	}
	// Output:
	// 200  hello ann
	// 401 Bearer realm="api", error="invalid_token", error_description="the access token is missing, malformed, expired or revoked" {"title":"Unauthorized","status":401}
	// 401 Bearer realm="api" {"title":"Unauthorized","status":401}
}

func ExampleAuth_SignIn() {
	auth := newAuth()
	login, err := issuer.Login(context.Background(), "ann")
	if err != nil {
		panic(err)
	}
	w := httptest.NewRecorder()
	if err := auth.SignIn(w, httptest.NewRequest("POST", "/login", nil), login); err != nil {
		panic(err)
	}
	for _, c := range w.Result().Cookies() {
		fmt.Println(c.Name, c.HttpOnly, c.Secure, c.SameSite == http.SameSiteLaxMode, c.Path)
	}
	// Output:
	// __Host-accessToken true true true /
	// __Host-refreshToken true true true /
	// tokenLife false true true /
}

func ExampleClaims() {
	type claims struct {
		Subject string `json:"sub"`
		Issuer  string `json:"iss"`
	}
	auth := newAuth()
	handler := auth.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := middleware.Claims[claims](r.Context())
		fmt.Println(c.Subject, c.Issuer, err)
	}))
	login, err := issuer.Login(context.Background(), "ann")
	if err != nil {
		panic(err)
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer "+login.Access)
	handler.ServeHTTP(httptest.NewRecorder(), r)
	// Output: ann https://shop.example <nil>
}

func ExampleAuth_onError() {
	auth := newAuth()
	auth.OnError = func(w http.ResponseWriter, r *http.Request, err error) {
		var refusal *middleware.Refusal
		if errors.As(err, &refusal) && refusal.Status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", refusal.Challenge)
			http.Error(w, "please sign in", http.StatusUnauthorized)
			return
		}
		middleware.WriteError(w, r, err)
	}
	w := httptest.NewRecorder()
	auth.Require(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	fmt.Print(w.Code, " ", w.Body)
	// Output: 401 please sign in
}

func ExampleAuth_Optional() {
	auth := newAuth()
	handler := auth.Optional(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if token, ok := middleware.FromContext(r.Context()); ok {
			fmt.Println("hello", token.Subject)
			return
		}
		fmt.Println("hello, stranger")
	}))
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	// Output: hello, stranger
}

// Any function can verify access tokens, and any function can refresh them.
func ExampleVerifierFunc() {
	auth := &middleware.Auth{
		Verifier: middleware.VerifierFunc(func(_ context.Context, raw string) (*verify.Token, error) {
			if raw != "ours" {
				return nil, verify.ErrInvalid
			}
			return &verify.Token{Raw: raw, Subject: "ann", Expiry: time.Now().Add(time.Hour)}, nil
		}),
		Refresher: refresh.Func(func(_ context.Context, old refresh.Tokens) (refresh.Tokens, error) {
			return refresh.Tokens{}, refresh.ErrDenied
		}),
	}
	defer auth.Close()
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer ours")
	r, err := auth.Check(httptest.NewRecorder(), r)
	if err != nil {
		panic(err)
	}
	token, _ := middleware.FromContext(r.Context())
	fmt.Println(token.Subject)
	// Output: ann
}

// A user whose account is closed is signed out everywhere, now and not when the
// access tokens end.
func ExampleRevocations() {
	auth := newAuth()
	auth.Revocations = &middleware.Revocations{Store: new(refresh.MemoryStore)} // replicas share one
	handler := auth.Require(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))

	login, err := issuer.Login(context.Background(), "eve")
	if err != nil {
		panic(err)
	}
	ask := func() int {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", "Bearer "+login.Access)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w.Code
	}
	fmt.Println(ask())
	if err := auth.Revocations.RevokeSubject(context.Background(), issuer.URL, "eve", time.Now()); err != nil {
		panic(err)
	}
	fmt.Println(ask())
	// Output:
	// 200
	// 401
}
