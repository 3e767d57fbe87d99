package main

import (
	"errors"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tokenlife/tokenlife/cookies"
	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/login"
	"github.com/tokenlife/tokenlife/middleware/middlewaretest"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/discovery"
	"github.com/tokenlife/tokenlife/refresh/event"
	"github.com/tokenlife/tokenlife/refresh/redisstore"
)

// What the README shows beside the program, as it stands there: whoever is not
// signed in is sent to sign in, and nothing comes of a callback nobody began.
func TestTheReadmesRoutesLeadToALogin(t *testing.T) {
	secret, mux := "of the client", http.NewServeMux()
	yourHandler := http.HandlerFunc(hello)

	provider := &discovery.Provider{Issuer: "https://login.example"}
	tokens, err := verify.New(verify.Issuer{URL: provider.Issuer, Audience: []string{"https://api.example"}})
	if err != nil {
		log.Fatal(err)
	}
	client := &refresh.OAuth2{ClientID: "web", ClientSecret: secret, Discovery: provider}
	auth := &middleware.Auth{
		Verifier: tokens, Refresher: client, LoginURL: "/auth/login",
		Cookies: cookies.Policy{KeepID: true}, // the provider wants the ID token at a sign-out
		Observe: event.Log(slog.Default()),    // it says why a sign-in fails
	}
	flow := &login.Flow{
		Auth: auth, Client: client, RedirectURL: "https://app.example/auth/callback",
		Scopes: []string{"openid", "offline_access"}, // for a refresh token
	}

	mux.Handle("/auth/login", flow.Start())
	mux.Handle("/auth/callback", flow.Callback())
	mux.Handle("/auth/logout", auth.Logout(flow.EndSession))
	mux.Handle("/", auth.Require(yourHandler))

	visit := func(path string) *http.Response {
		r := httptest.NewRequest("GET", "https://app.example"+path, nil)
		r.Header.Set("Accept", "text/html")
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		return w.Result()
	}
	if answer := visit("/account"); answer.Header.Get("Location") != "/auth/login?return_to=%2Faccount" {
		t.Errorf("a page answers %d and leads to %q", answer.StatusCode, answer.Header.Get("Location"))
	}
	if answer := visit("/auth/callback?code=x&state=y"); answer.StatusCode != http.StatusBadRequest || len(answer.Cookies()) > 0 {
		t.Errorf("a callback that nobody began: %d, %v", answer.StatusCode, answer.Cookies())
	}
	if err := auth.Close(); err != nil {
		t.Error(err)
	}
}

func TestTheReadmesStoreGoesIntoTheCoordinator(t *testing.T) {
	redisClient := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	client, auth := &refresh.OAuth2{}, new(middleware.Auth)

	auth.Refresher = &refresh.Coordinator{Refresher: client, Store: &redisstore.Store{Client: redisClient}}

	c, ok := auth.Refresher.(*refresh.Coordinator)
	if !ok {
		t.Fatal("Auth has another refresher")
	}
	if _, err := c.Store.Get(t.Context(), "key"); err == nil || errors.Is(err, refresh.ErrNotFound) {
		t.Errorf("a server that there is not: %v", err)
	}
	if err := errors.Join(c.Close(), redisClient.Close()); err != nil {
		t.Error(err)
	}
}

func TestAnAPINeedsAVerifierAndNoMore(t *testing.T) {
	tokens, mux := middlewaretest.NewProvider(t), http.NewServeMux()
	yourHandler := http.HandlerFunc(hello)

	auth := &middleware.Auth{Verifier: tokens}
	mux.Handle("/api/", auth.Require(yourHandler))

	for header, want := range map[string]int{"": 401, "Bearer " + tokens.Token(nil): 200} {
		r := httptest.NewRequest("GET", "/api/hello", nil)
		r.Header.Set("Authorization", header)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("answered %d, want %d", w.Code, want)
		}
	}
}
