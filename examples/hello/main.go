// Command hello is the program of the README's first page.
package main

import (
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh/local"
)

func main() {
	issuer := &local.Issuer{URL: "https://hello.example", Audience: []string{"hello"}, Life: 20 * time.Second}
	tokens, err := verify.New(verify.Issuer{URL: issuer.URL, Keys: issuer.JWKS, Audience: issuer.Audience})
	if err != nil {
		log.Fatal(err)
	}
	auth := &middleware.Auth{Verifier: tokens, Refresher: issuer}
	mux := http.NewServeMux()
	mux.Handle("/", auth.Require(http.HandlerFunc(hello))) // your handler, as it is
	mux.Handle("/auth/refresh", auth.RefreshHandler())
	mux.Handle("/auth/logout", auth.Logout(nil))
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		login, err := issuer.Login(r.Context(), r.FormValue("user")) // after checking the password
		if err == nil {
			err = auth.SignIn(w, r, login)
		}
		if err != nil {
			middleware.WriteError(w, r, err)
		}
	})
	log.Fatal(http.ListenAndServe("localhost:8080", http.NewCrossOriginProtection().Handler(mux)))
}

func hello(w http.ResponseWriter, r *http.Request) {
	token, _ := middleware.FromContext(r.Context())
	fmt.Fprintln(w, "hello", token.Subject)
}
