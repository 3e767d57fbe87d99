package main

import (
	"embed"
	"encoding/json"
	"errors"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh/local"
)

//go:embed site
var files embed.FS

// A site is the quick start's handler. Close it after its server.
type site struct {
	http.Handler
	issuer *local.Issuer
	tokens *verify.JWT
	auth   *middleware.Auth
	page   *template.Template
}

// newSite puts a site before its users' issuer.
func newSite(issuer *local.Issuer) (*site, error) {
	// Who may come in: whoever has an access token of this issuer, for us.
	tokens, err := verify.New(verify.Issuer{
		URL:      issuer.URL,
		Keys:     issuer.JWKS,
		Audience: issuer.Audience,
	})
	if err != nil {
		return nil, err
	}
	// What keeps the login alive: the issuer gives new tokens for old ones.
	auth := &middleware.Auth{Verifier: tokens, Refresher: issuer}
	if err := errors.Join(issuer.Validate(), auth.Validate()); err != nil {
		return nil, err
	}
	page, err := template.ParseFS(files, "site/page.html")
	if err != nil {
		return nil, err
	}
	s := &site{issuer: issuer, tokens: tokens, auth: auth, page: page}

	mux := http.NewServeMux()
	// Yours: an API for those who are signed in, and a page that greets
	// everybody. Neither knows that tokens end.
	mux.Handle("GET /api/hello", auth.Require(http.HandlerFunc(hello)))
	mux.Handle("GET /{$}", auth.Optional(http.HandlerFunc(s.home)))
	// The beginning and the end of a login.
	mux.HandleFunc("POST /auth/login", s.signIn)
	mux.Handle("/auth/logout", auth.Logout(nil))
	// For scripts of your own: renew now, and who is signed in?
	mux.Handle("/auth/refresh", auth.RefreshHandler())
	mux.Handle("GET /auth/session", auth.Session())
	for _, name := range []string{"quickstart.css", "quickstart.js"} {
		mux.HandleFunc("GET /"+name, func(w http.ResponseWriter, r *http.Request) {
			http.ServeFileFS(w, r, files, "site/"+name)
		})
	}
	// The sign-in form needs this protection too: without it another site could
	// sign its visitors in here, under a name of its choice.
	s.Handler = protect(http.NewCrossOriginProtection().Handler(mux))
	return s, nil
}

// Close waits for refreshes under way and stops the verifier.
func (s *site) Close() error { return errors.Join(s.auth.Close(), s.tokens.Close()) }

// signIn begins a login. A program of yours checks a password here.
func (s *site) signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	name := strings.TrimSpace(r.PostFormValue("name"))
	if name == "" || len(name) > 80 {
		http.Error(w, "Any name will do, if it is not empty and not too long.", http.StatusBadRequest)
		return
	}
	login, err := s.issuer.Login(r.Context(), name)
	if err == nil {
		err = s.auth.SignIn(w, r, login)
	}
	if err != nil {
		middleware.WriteError(w, r, err)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// home shows the sign-in form, or to those who are signed in the demonstration.
func (s *site) home(w http.ResponseWriter, r *http.Request) {
	view := struct {
		Name string // of the user; empty: nobody is signed in
		Now  int64  // the server's clock, in milliseconds since 1970
		Life int    // how long the access token lives altogether, in seconds
	}{Now: time.Now().UnixMilli()}
	if token, ok := middleware.FromContext(r.Context()); ok {
		view.Name = token.Subject
		view.Life = int(token.Expiry.Sub(token.IssuedAt).Seconds())
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_ = s.page.Execute(w, view) // fails only where the browser has left
}

// hello is the API. Its clock lets the page count in the server's time.
func hello(w http.ResponseWriter, r *http.Request) {
	token, _ := middleware.FromContext(r.Context()) // Require has seen to it
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(map[string]any{"name": token.Subject, "now": time.Now().UnixMilli()})
}

// protect says what a browser may do with the site's pages: use their own
// scripts, styles, API and forms, and nothing else.
func protect(next http.Handler) http.Handler {
	const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer")
		next.ServeHTTP(w, r)
	})
}
