package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"errors"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh/event"
	"github.com/tokenlife/tokenlife/refresh/local"
)

//go:embed site
var files embed.FS

// A site is the whole server. Close it when it serves no more.
type site struct {
	http.Handler
	db     *sql.DB
	users  *users
	issuer *local.Issuer
	tokens *verify.JWT
	auth   *middleware.Auth
	page   *template.Template

	byAccount, byAddress *limiter
}

// newSite puts the site together, on a database in a file.
func newSite(ctx context.Context, file string, life time.Duration) (_ *site, err error) {
	db, store, err := openDatabase(ctx, file)
	if err != nil {
		return nil, err
	}
	s := &site{db: db, users: &users{db, newHasher(4)}}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	secret, err := readSecret(file + ".secret")
	if err != nil {
		return nil, err
	}
	// Who signs the tokens, and keeps the logins.
	s.issuer = &local.Issuer{
		URL:      "https://local.example", // a name; nobody calls it
		Audience: []string{"local"},
		Life:     life,
		Idle:     14 * 24 * time.Hour,
		Store:    store,
		Secret:   secret,
		Observe: func(_ context.Context, e event.Event) {
			slog.Warn("a login has ended", "why", e.Kind, "subject", e.Subject, "device", e.Device)
		},
	}
	// Who may come in: whoever has one of its access tokens, for us.
	s.tokens, err = verify.New(verify.Issuer{URL: s.issuer.URL, Keys: s.issuer.JWKS, Audience: s.issuer.Audience})
	if err != nil {
		return nil, err
	}
	// What keeps the logins alive.
	s.auth = &middleware.Auth{Verifier: s.tokens, Refresher: s.issuer}
	if err := errors.Join(s.issuer.Validate(), s.auth.Validate()); err != nil {
		return nil, err
	}
	if s.page, err = template.ParseFS(files, "site/page.html"); err != nil {
		return nil, err
	}
	// Passwords are for guessing: ten at once and one in twenty seconds for each
	// account, wherever they come from, and more for an address with many users.
	if s.byAccount, err = newLimiter(20*time.Second, 10); err != nil {
		return nil, err
	}
	if s.byAddress, err = newLimiter(2*time.Second, 40); err != nil {
		return nil, err
	}
	s.Handler = s.routes()
	return s, nil
}

// readSecret returns the 32 bytes that seal the signing keys in the database. They
// are in a file beside it, which is made at the first start.
func readSecret(file string) ([]byte, error) {
	secret, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		secret = make([]byte, 32)
		_, _ = rand.Read(secret) // it never returns an error
		err = os.WriteFile(file, secret, 0o600)
	}
	return secret, err
}

func (s *site) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", s.auth.Optional(http.HandlerFunc(s.home)))
	mux.HandleFunc("POST /register", s.register)
	mux.HandleFunc("POST /login", s.login)
	mux.Handle("/refresh-token", s.auth.RefreshHandler())
	mux.Handle("/logout", s.auth.Logout(nil))
	mux.Handle("POST /logout-everywhere", s.auth.Require(http.HandlerFunc(s.logoutEverywhere)))
	mux.Handle("GET /devices", s.auth.Require(http.HandlerFunc(s.devices)))
	mux.Handle("DELETE /devices/{id}", s.auth.Require(http.HandlerFunc(s.endDevice)))
	mux.Handle("POST /devices/{id}/end", s.auth.Require(http.HandlerFunc(s.endDevice))) // forms cannot delete
	mux.HandleFunc("GET /local.css", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, files, "site/local.css")
	})
	// All forms need this, the sign-in form too: without it another site could
	// sign its visitors in here, under a name of its choice.
	return protect(http.NewCrossOriginProtection().Handler(mux))
}

// Close waits for refreshes under way and closes the database.
func (s *site) Close() error {
	var errs []error
	if s.auth != nil {
		errs = append(errs, s.auth.Close())
	}
	if s.tokens != nil {
		errs = append(errs, s.tokens.Close())
	}
	return errors.Join(append(errs, s.db.Close())...)
}

// protect says what a browser may do with the site's pages: use their styles and
// their forms, and nothing else. There is no script.
func protect(next http.Handler) http.Handler {
	const policy = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer")
		r.Body = http.MaxBytesReader(w, r.Body, 8<<10)
		next.ServeHTTP(w, r)
	})
}
