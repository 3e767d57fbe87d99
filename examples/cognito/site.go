package main

import (
	"embed"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"github.com/tokenlife/tokenlife/cookies"
	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/login"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/cognito"
)

//go:embed page.html
var files embed.FS

const callbackPath = "/auth/callback"

// A site is the example's handler. Close it after its server.
type site struct {
	http.Handler
	config

	access, id *verify.JWT
	pool       *cognito.Pool
	auth       *middleware.Auth
	flow       *login.Flow
	page       *template.Template
}

func newSite(c config) (*site, error) {
	s := &site{config: c}
	region, _, _ := strings.Cut(c.poolID, "_")

	// Who may come in: whoever has an access token of this pool for this app
	// client. ID tokens only tell who has just signed in.
	access, id := verify.Cognito(region, c.poolID, c.clientID), verify.CognitoID(region, c.poolID, c.clientID)
	if c.endpoint != "" {
		for _, issuer := range []*verify.Issuer{&access, &id} {
			issuer.URL = c.endpoint + "/" + c.poolID
			issuer.KeysURL = issuer.URL + "/.well-known/jwks.json"
		}
	}
	var err error
	if s.access, err = verify.New(access); err != nil {
		return nil, err
	}
	if s.id, err = verify.New(id); err != nil {
		return nil, err
	}
	s.access.Client, s.id.Client = c.client, c.client

	// What keeps a login alive, wherever it began: the pool's own API.
	s.pool = &cognito.Pool{
		Region: region, Endpoint: c.endpoint, ClientID: c.clientID, ClientSecret: c.secret, Client: c.client,
	}
	s.auth = &middleware.Auth{
		Verifier:  s.access,
		Refresher: s.pool,
		Cookies:   cookies.Policy{Keys: c.keys},
		LoginURL:  "/auth/login",
	}
	// Signing in on the hosted page. A discovery document would not name the
	// domain's revocation and logout endpoints, so all are given.
	s.flow = &login.Flow{
		Auth: s.auth,
		Client: &refresh.OAuth2{
			ClientID: c.clientID, ClientSecret: c.secret, Client: c.client,
			TokenURL: c.domain + "/oauth2/token", RevokeURL: c.domain + "/oauth2/revoke",
		},
		Issuer:      access.URL,
		AuthURL:     c.domain + "/oauth2/authorize",
		RedirectURL: c.publicURL + callbackPath,
		IDTokens:    s.id,
	}
	if err := errors.Join(s.pool.Validate(), s.flow.Validate()); err != nil { // and Auth's
		return nil, err
	}
	if s.page, err = template.ParseFS(files, "page.html"); err != nil {
		return nil, err
	}
	s.Handler = protect(http.NewCrossOriginProtection().Handler(s.routes()))
	return s, nil
}

func (s *site) routes() http.Handler {
	mux := http.NewServeMux()
	// Yours: pages for everybody, for users, and for members of a group.
	mux.Handle("GET /{$}", s.auth.Optional(s.show("Welcome")))
	mux.Handle("GET /account", s.auth.Require(s.show("Your account")))
	mux.Handle("GET /admin", s.auth.RequireGroup(s.group)(s.show("For members only")))
	// The beginning and the end of a login.
	mux.Handle("GET /auth/login", s.flow.Start())
	mux.Handle("GET "+callbackPath, s.flow.Callback())
	if s.password {
		mux.HandleFunc("POST /auth/password", s.signIn)
	}
	mux.Handle("/auth/logout", s.auth.Logout(s.afterLogout))
	// For scripts of your own: renew now, and who is signed in?
	mux.Handle("/auth/refresh", s.auth.RefreshHandler())
	mux.Handle("GET /auth/session", s.auth.Session())
	return mux
}

// Close waits for what is under way and stops the verifiers.
func (s *site) Close() error {
	return errors.Join(s.flow.Close(), s.auth.Close(), s.access.Close(), s.id.Close())
}

// signIn begins a login with a name and a password. Guessing is slowed down by
// Cognito, which locks a user for longer after each wrong password.
func (s *site) signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	name, password := strings.TrimSpace(r.PostFormValue("name")), r.PostFormValue("password")
	tokens, err := s.pool.Login(r.Context(), name, password)
	if err == nil {
		err = s.auth.SignIn(w, r, tokens)
	}
	switch {
	case err == nil:
		http.Redirect(w, r, "/account", http.StatusSeeOther)
	case errors.Is(err, refresh.ErrDenied):
		// One answer for all reasons: the others would tell who is a user.
		s.write(w, http.StatusUnauthorized, view{
			Title:  "Sign in",
			Notice: "This did not work with that name and password. The other way to sign in may: it knows second factors and forgotten passwords.",
		})
	default:
		w.Header().Set("Retry-After", "5")
		s.write(w, http.StatusServiceUnavailable, view{Title: "Sign in", Notice: "Nobody can sign in just now. Please try again."})
	}
}

// afterLogout leads on to the domain's /logout, which ends the session that the
// hosted page remembers: without it the next sign-in asks for no password. It
// comes back to a registered URL, and to no other.
func (s *site) afterLogout(w http.ResponseWriter, r *http.Request, _ middleware.EndedLogin) {
	http.Redirect(w, r, s.domain+"/logout?"+url.Values{
		"client_id":  {s.clientID},
		"logout_uri": {s.publicURL + "/"},
	}.Encode(), http.StatusSeeOther)
}

// A view is what the page shows.
type view struct {
	Title    string
	Notice   string
	Token    *verify.Token // nil: nobody is signed in
	Password bool
}

func (s *site) show(title string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := middleware.FromContext(r.Context())
		s.write(w, http.StatusOK, view{Title: title, Token: token})
	})
}

func (s *site) write(w http.ResponseWriter, status int, v view) {
	v.Password = s.password
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = s.page.Execute(w, v) // fails only where the browser has left
}

// protect says what a browser may do with the site's pages. A form's answer may
// lead to the hosted domain, which form-action would have to name, and of which
// some browsers would refuse the rest of the way.
func protect(next http.Handler) http.Handler {
	const policy = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}
