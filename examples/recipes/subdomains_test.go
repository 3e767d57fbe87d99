package recipes

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/tokenlife/tokenlife/cookies"
	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/middlewaretest"
)

func Example_subdomains() {
	provider := new(middlewaretest.Provider)
	defer provider.Close()
	tokens, client := provider, provider

	trusted := http.NewCrossOriginProtection()
	if err := trusted.AddTrustedOrigin("https://www.shop.example"); err != nil {
		log.Fatal(err)
	}
	auth := &middleware.Auth{
		Verifier: tokens, Refresher: client,
		Cookies:     cookies.Policy{Domain: "shop.example"}, // www., api. and all others
		CrossOrigin: trusted,
	}

	defer auth.Close()
	w := httptest.NewRecorder()
	if err := auth.SignIn(w, httptest.NewRequest("POST", "/login", nil), provider.Login(nil)); err != nil {
		log.Fatal(err)
	}
	for _, c := range w.Result().Cookies() {
		fmt.Println(c.Name, c.Domain, c.Path)
	}
	// Output:
	// __Secure-accessToken shop.example /
	// __Secure-refreshToken shop.example /
	// tokenLife shop.example /
}

// What a neighbour below the domain can do, and cannot do to cookies of one host.
func TestACookieOfANeighbour(t *testing.T) {
	p := middlewaretest.NewProvider(t)
	for prefix, policy := range map[string]cookies.Policy{"__Host-": {}, "__Secure-": {Domain: "shop.example"}} {
		auth := &middleware.Auth{Verifier: p, Refresher: p, Cookies: policy}
		defer auth.Close()
		r := httptest.NewRequest("GET", "/", nil)
		middlewaretest.SignIn(auth, r, p.Login(nil))
		if w := serve(auth.Require(http.HandlerFunc(hello)), r); w.Code != 200 {
			t.Errorf("%s: %d", prefix, w.Code)
		}
		r.AddCookie(&http.Cookie{Name: "__Secure-accessToken", Value: p.Token(map[string]any{"sub": "eve"})})
		r.AddCookie(&http.Cookie{Name: "__Secure-refreshToken", Value: "another"})
		w := serve(auth.Require(http.HandlerFunc(hello)), r)
		if want := map[string]int{"__Host-": 200, "__Secure-": 401}[prefix]; w.Code != want {
			t.Errorf("%s: with a neighbour's cookies: %d, want %d", prefix, w.Code, want)
		}
	}
}
