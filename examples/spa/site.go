package main

import (
	"embed"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/tokenlife/tokenlife/cookies"
	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh/local"
)

//go:embed site
var files embed.FS

const module = "/auth/tokenlife.js" // as the files of the page name it

// A site is the app's handler. Close it after its server.
type site struct {
	http.Handler
	issuer *local.Issuer
	tokens *verify.JWT
	auth   *middleware.Auth
	api    *api
}

// newSite puts a site before its users' issuer.
func newSite(issuer *local.Issuer) (*site, error) {
	tokens, err := verify.New(verify.Issuer{
		URL:      issuer.URL,
		Keys:     issuer.JWKS,
		Audience: issuer.Audience,
	})
	if err != nil {
		return nil, err
	}
	api := newAPI(tokens)
	auth := &middleware.Auth{
		Verifier:  api,
		Refresher: issuer,
		// The API never sees a refresh token, and can renew nothing.
		Cookies: cookies.Policy{RefreshPath: "/auth"},
	}
	if err := errors.Join(issuer.Validate(), auth.Validate()); err != nil {
		return nil, err
	}
	s := &site{issuer: issuer, tokens: tokens, auth: auth, api: api}

	mux := http.NewServeMux()
	mux.Handle("/api/", auth.Require(api.handler()))
	mux.HandleFunc("POST /auth/login", s.signIn)
	mux.Handle("/auth/logout", auth.Logout(nil))
	mux.Handle("/auth/refresh", auth.RefreshHandler())
	mux.Handle(module, middleware.Script())
	// The page is the same for everybody, and may be anywhere: on a CDN, too.
	for path, name := range map[string]string{"/{$}": "index.html", "/app.js": "app.js", "/style.css": "style.css"} {
		text, err := files.ReadFile("site/" + name)
		if err != nil {
			return nil, err
		}
		// Browsers keep the module for good under the version, which is another in
		// the next build. All of the page has to name it so, or it is loaded twice.
		page := strings.ReplaceAll(string(text), module, module+"?v="+middleware.ScriptVersion())
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "no-cache")
			http.ServeContent(w, r, name, time.Time{}, strings.NewReader(page))
		})
	}
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
	w.WriteHeader(http.StatusNoContent)
}

// protect says what a browser may do with the page: use its own scripts, styles
// and API, and nothing else.
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
