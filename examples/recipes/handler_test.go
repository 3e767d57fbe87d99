package recipes

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/middlewaretest"
)

type userKey struct{}

// account is a handler as there are many: it finds its user in a way of its own.
func account(w http.ResponseWriter, r *http.Request) {
	user, _ := r.Context().Value(userKey{}).(string)
	fmt.Fprintln(w, "the account of", user)
}

// asBefore tells the handlers behind it who asks in the way that they know.
func asBefore(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := middleware.FromContext(r.Context()) // Require has seen to it
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, token.Subject)))
	})
}

func Example_existingHandler() {
	provider := new(middlewaretest.Provider)
	defer provider.Close()
	tokens, client := provider, provider

	auth := &middleware.Auth{Verifier: tokens, Refresher: client, LoginURL: "/auth/login"}
	defer auth.Close()
	site := http.NewServeMux() // as it was
	site.HandleFunc("/account", account)

	mux := http.NewServeMux()
	mux.Handle("/", auth.Require(asBefore(site)))
	mux.Handle("/auth/refresh", auth.RefreshHandler())
	mux.Handle("/auth/logout", auth.Logout(nil))

	w := serve(mux, returning(auth, provider, "ann", "GET", "/account"))
	fmt.Print(w.Code, " ", w.Body)
	r := httptest.NewRequest("GET", "/account", nil)
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	w = serve(mux, r)
	fmt.Println(w.Code, w.Header().Get("Location"))
	// Output:
	// 200 the account of ann
	// 302 /auth/login?return_to=%2Faccount
}
