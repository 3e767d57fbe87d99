// Package local is an issuer for a service's own users: it signs their access
// tokens, publishes the key, and rotates their refresh tokens.
//
// It is for a service that knows its users already, by a password or a passkey
// of its own, and wants their logins to work as those of a provider do. A
// program that checks a form and signs the user in:
//
//	package main
//
//	import (
//		"log"
//		"net/http"
//
//		"github.com/tokenlife/tokenlife/middleware"
//		"github.com/tokenlife/tokenlife/middleware/verify"
//		"github.com/tokenlife/tokenlife/refresh/local"
//	)
//
//	func main() {
//		issuer := &local.Issuer{
//			URL:      "https://shop.example",
//			Audience: []string{"shop"},
//		}
//		tokens, err := verify.New(verify.Issuer{
//			URL:      issuer.URL,
//			Keys:     issuer.JWKS,
//			Audience: issuer.Audience,
//		})
//		if err != nil {
//			log.Fatal(err)
//		}
//		auth := &middleware.Auth{Verifier: tokens, Refresher: issuer}
//		if err := auth.Validate(); err != nil {
//			log.Fatal(err)
//		}
//		mux := http.NewServeMux()
//		mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
//			user, ok := check(r.FormValue("user"), r.FormValue("password")) // your own
//			if !ok {
//				http.Error(w, "No such user or password.", http.StatusForbidden)
//				return
//			}
//			login, err := issuer.Login(r.Context(), user)
//			if err == nil {
//				err = auth.SignIn(w, r, login)
//			}
//			if err != nil {
//				middleware.WriteError(w, r, err)
//				return
//			}
//			http.Redirect(w, r, "/", http.StatusSeeOther)
//		})
//		mux.Handle("/", auth.Require(site())) // your own
//		log.Fatal(http.ListenAndServe("localhost:8080", mux))
//	}
//
// The signing key is made at the first use and lives as long as the Issuer.
// After a restart, and at another replica, the access tokens of before are no
// longer good, while refresh tokens are as long as the Store has them: the next
// request gets a new access token without anybody noticing.
package local

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/internal/signer"
)

const (
	defaultLife        = 5 * time.Minute
	defaultRefreshLife = 30 * 24 * time.Hour
)

// An Issuer signs in the users of one service. It is the [refresh.Refresher]
// and [refresh.Revoker] of their logins.
//
// Each refresh token is good once, and the one that came before it ends the
// login (RFC 9700, section 4.14.2): put a [refresh.Coordinator] in front, as
// package middleware does by itself, so that requests at the same time are one
// refresh.
//
// Use an Issuer by pointer and do not change its fields after the first use.
// Its methods are safe for concurrent use.
type Issuer struct {
	// URL is the issuer's name, an absolute URL, in the tokens' iss. Nothing
	// needs to be served there. Required.
	URL string

	// Audience names who the access tokens are for, in their aud. Required.
	Audience []string

	// Life is how long an access token lives, in whole seconds. Default 5 min.
	Life time.Duration

	// RefreshLife is how long a login lives, counted from its start and not
	// prolonged by refreshes. Default 30 days.
	RefreshLife time.Duration

	// Store keeps the logins: hashes of refresh tokens, the users' subjects and
	// times. Default: a [refresh.MemoryStore] of its own, which forgets them
	// when the program ends.
	Store refresh.Store

	// Claims returns claims to add to a subject's access tokens, such as
	// scope. It is called at every refresh, so that the claims are never older
	// than the access token. The claims of RFC 9068, section 2.2, that this
	// package sets cannot be replaced. An error that wraps [refresh.ErrDenied]
	// ends the login. Default: none.
	Claims func(ctx context.Context, subject string) (map[string]any, error)

	once              sync.Once
	life, refreshLife time.Duration // as configured, or by default
	store             refresh.Store
	key               *signer.Key
	err               error // of Validate or of making the key
}

var (
	_ refresh.Refresher = (*Issuer)(nil)
	_ refresh.Revoker   = (*Issuer)(nil)
)

// Validate reports a mistake in the configuration, naming the field.
func (i *Issuer) Validate() error {
	u, err := url.Parse(i.URL)
	switch {
	case i.URL == "":
		return errors.New("local: Issuer.URL is empty")
	case err != nil || u.Scheme == "" || u.Host == "":
		return errors.New("local: Issuer.URL is not an absolute URL")
	case len(i.Audience) == 0 || slices.Contains(i.Audience, ""):
		return errors.New("local: Issuer.Audience is empty or has an empty name")
	case i.Life < 0 || i.Life%time.Second != 0:
		return errors.New("local: Issuer.Life is not a whole number of seconds above zero")
	case i.RefreshLife < 0:
		return errors.New("local: Issuer.RefreshLife is negative")
	}
	return nil
}

// ready makes what an Issuer has beside its configuration.
func (i *Issuer) ready() error {
	i.once.Do(func() {
		if i.err = i.Validate(); i.err != nil {
			return
		}
		i.life = cmp.Or(i.Life, defaultLife)
		i.refreshLife = cmp.Or(i.RefreshLife, defaultRefreshLife)
		if i.store = i.Store; i.store == nil {
			i.store = new(refresh.MemoryStore)
		}
		if i.key, i.err = signer.New(); i.err != nil {
			i.err = fmt.Errorf("local: %w", i.err)
		}
	})
	return i.err
}

// ours are the claims that an Issuer sets, and those that would change what
// its tokens are.
var ours = []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id"}

// access signs an access token (RFC 9068).
func (i *Issuer) access(ctx context.Context, subject string) (string, time.Time, error) {
	claims := map[string]any{}
	if i.Claims != nil {
		more, err := i.Claims(ctx, subject)
		if err != nil {
			return "", time.Time{}, fmt.Errorf("local: Issuer.Claims: %w", err)
		}
		for name, value := range more {
			// In any case, because some verifiers do not tell ISS from iss.
			if slices.ContainsFunc(ours, func(our string) bool { return strings.EqualFold(name, our) }) {
				return "", time.Time{}, fmt.Errorf("local: Issuer.Claims returned %.40q, which the Issuer sets itself", name)
			}
			claims[name] = value
		}
	}
	now := time.Now()
	ends := now.Add(i.life).Truncate(time.Second)
	claims["iss"] = i.URL
	claims["sub"] = subject
	claims["aud"] = i.Audience
	claims["iat"] = now.Unix()
	claims["exp"] = ends.Unix()
	claims["jti"] = rand.Text()
	claims["client_id"] = i.URL // the service is its own and only client
	signed, err := i.key.Sign("at+jwt", claims)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("local: %w", err)
	}
	return signed, ends, nil
}
