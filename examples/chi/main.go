// Command chi is a site on chi whose access tokens live 20 seconds, and whose logins do not.
package main

import (
	"cmp"
	"context"
	"fmt"
	"html"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh/local"
)

func main() {
	issuer := &local.Issuer{URL: "https://chi.example", Audience: []string{"chi"}, Life: 20 * time.Second, Claims: scopes}
	tokens, err := verify.New(verify.Issuer{URL: issuer.URL, Keys: issuer.JWKS, Audience: issuer.Audience})
	if err != nil {
		log.Fatal(err)
	}
	defer tokens.Close()
	auth := &middleware.Auth{Verifier: tokens, Refresher: issuer}
	defer auth.Close()
	server := &http.Server{Addr: cmp.Or(os.Getenv("LISTEN"), "localhost:8080"), Handler: newSite(auth, issuer), ReadHeaderTimeout: 5 * time.Second}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	drained := make(chan error)
	context.AfterFunc(ctx, func() { stop(); drained <- server.Shutdown(context.Background()) })
	log.Printf("http://%s", server.Addr)
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		log.Fatal(err)
	}
	<-drained
}

func newSite(auth *middleware.Auth, issuer *local.Issuer) http.Handler {
	site := chi.NewRouter()
	site.With(auth.Optional).Get("/", home)
	site.With(auth.Require).Get("/api/hello", hello)
	site.With(auth.RequireScope("write")).Post("/api/hello", hello)
	site.Method("POST", "/auth/refresh", auth.RefreshHandler())
	site.Method("POST", "/auth/logout", auth.Logout(nil))
	site.Post("/login", func(w http.ResponseWriter, r *http.Request) {
		login, err := issuer.Login(r.Context(), r.FormValue("user")) // after checking the password
		if err == nil {
			err = auth.SignIn(w, r, login)
		}
		if err != nil {
			middleware.WriteError(w, r, err)
			return
		}
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	return http.NewCrossOriginProtection().Handler(site)
}

func home(w http.ResponseWriter, r *http.Request) {
	page := `<form method="post" action="/login"><input name="user" placeholder="Name"><button>Sign in</button></form>`
	if token, ok := middleware.FromContext(r.Context()); ok {
		page = html.EscapeString(token.Subject) + `<form method="post" action="/auth/logout"><button>Sign out</button></form>`
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprint(w, page)
}

func hello(w http.ResponseWriter, r *http.Request) {
	token, _ := middleware.FromContext(r.Context())
	fmt.Fprintln(w, "hello", token.Subject)
}

func scopes(_ context.Context, user string) (map[string]any, error) {
	return map[string]any{"scope": "read write"}, nil // what this user may do
}
