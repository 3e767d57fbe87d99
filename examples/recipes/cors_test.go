package recipes

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/middlewaretest"
)

const page = "https://www.shop.example" // whose scripts call this API

// allow lets the page read answers (CORS). It stands before the authentication:
// a preflight carries no cookies, and a 401 is to be read as well.
func allow(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Origin")
		if r.Header.Get("Origin") != page {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Access-Control-Allow-Origin", page)
		w.Header().Set("Access-Control-Allow-Credentials", "true")
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			w.Header().Set("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE")
			w.Header().Set("Access-Control-Allow-Headers", "Content-Type")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func Example_anotherOrigin() {
	provider := new(middlewaretest.Provider)
	defer provider.Close()
	tokens, client := provider, provider

	trusted := http.NewCrossOriginProtection()
	if err := trusted.AddTrustedOrigin(page); err != nil {
		log.Fatal(err)
	}
	auth := &middleware.Auth{Verifier: tokens, Refresher: client, CrossOrigin: trusted}
	api := allow(auth.Require(http.HandlerFunc(hello)))

	defer auth.Close()
	for _, origin := range []string{page, "https://evil.example"} {
		preflight := httptest.NewRequest("OPTIONS", "https://api.shop.example/", nil)
		preflight.Header.Set("Origin", origin)
		preflight.Header.Set("Access-Control-Request-Method", "PUT")
		put := returning(auth, provider, "ann", "PUT", "https://api.shop.example/")
		put.Header.Set("Origin", origin)
		put.Header.Set("Sec-Fetch-Site", "same-site")
		nobody := httptest.NewRequest("GET", "https://api.shop.example/", nil)
		nobody.Header.Set("Origin", origin)
		for _, r := range []*http.Request{preflight, put, nobody} {
			w := serve(api, r)
			fmt.Printf("%s %d %q\n", r.Method, w.Code, w.Header().Get("Access-Control-Allow-Origin"))
		}
	}
	// Output:
	// OPTIONS 204 "https://www.shop.example"
	// PUT 200 "https://www.shop.example"
	// GET 401 "https://www.shop.example"
	// OPTIONS 401 ""
	// PUT 403 ""
	// GET 401 ""
}
