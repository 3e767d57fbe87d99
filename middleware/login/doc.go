// Package login signs users in at an OpenID Connect provider. The login is then
// kept alive by package middleware.
//
// It uses the authorization code flow (OpenID Connect Core 1.0, section 3.1)
// with PKCE (RFC 7636). The service is registered with the provider as a
// client, with an ID, perhaps a secret, and two URLs: one to which the browser
// returns after signing in, and one after signing out. A site with a page
// behind a login:
//
//	package main
//
//	import (
//		"fmt"
//		"log"
//		"net/http"
//		"os"
//
//		"github.com/tokenlife/tokenlife/cookies"
//		"github.com/tokenlife/tokenlife/middleware"
//		"github.com/tokenlife/tokenlife/middleware/login"
//		"github.com/tokenlife/tokenlife/middleware/verify"
//		"github.com/tokenlife/tokenlife/refresh"
//		"github.com/tokenlife/tokenlife/refresh/discovery"
//	)
//
//	func main() {
//		provider := &discovery.Provider{Issuer: "https://accounts.example.com"}
//		verifier, err := verify.New(verify.Issuer{
//			URL:      provider.Issuer,
//			Audience: []string{"https://api.example.com"},
//		})
//		if err != nil {
//			log.Fatal(err)
//		}
//		client := &refresh.OAuth2{
//			ClientID:     "shop",
//			ClientSecret: os.Getenv("CLIENT_SECRET"),
//			Discovery:    provider,
//		}
//		auth := &middleware.Auth{
//			Verifier:    verifier,
//			Refresher:   client,
//			Cookies:     cookies.Policy{KeepID: true}, // the provider wants the ID token at a sign-out
//			LoginURL:    "/login",
//			Revocations: new(middleware.Revocations), // with a Store where replicas share one
//		}
//		flow := &login.Flow{
//			Auth:        auth,
//			Client:      client,
//			RedirectURL: "http://localhost:8080/callback",
//			Scopes:      []string{"openid", "offline_access"},
//		}
//		if err := flow.Validate(); err != nil {
//			log.Fatal(err)
//		}
//		mux := http.NewServeMux()
//		mux.Handle("/login", flow.Start())
//		mux.Handle("/callback", flow.Callback())
//		mux.Handle("/logout", auth.Logout(flow.EndSession))
//		mux.Handle("/backchannel-logout", flow.BackChannel())
//		mux.Handle("/", auth.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
//			token, _ := middleware.FromContext(r.Context())
//			fmt.Fprintln(w, "hello,", token.Subject)
//		})))
//		log.Fatal(http.ListenAndServe("localhost:8080", mux))
//	}
//
// The handler of /logout is for POST. A page signs out by a form, and is led on
// to the provider: see [Flow.EndSession]. A script that calls it signs out here
// alone.
//
// # When the provider ends a login
//
// A provider with which /backchannel-logout is registered calls it when its
// user has signed out there or at another site (OpenID Connect Back-Channel
// Logout 1.0). The Auth needs Revocations for that, to end a login before its
// access token expires. Leave out both if the provider has no back-channel
// logout.
//
// If access tokens have the claim sid, the one login with that session ends. If
// they have none, all logins of the user end. They need not name the user as ID
// tokens and logout tokens do: a sign-in records both names in the Store.
//
// # Providers with more than one name for a user
//
// The ID token says who has signed in, to this client. The access token is for
// an API, which may know the user by another subject, and the issuer by another
// URL: Okta, AD FS and Microsoft Entra ID issue such tokens. Their names are
// not compared. An ID token with at_hash is good with its own access token
// alone (OpenID Connect Core 1.0, section 3.1.3.8).
//
// From then on the access token names the user: to handlers, in events, and in
// Auth.Revocations.
//
// An endpoint for many tenants, such as common of Entra ID, has no issuer that
// discovery could find. There, set Issuer to any name, set AuthURL and
// Client.TokenURL, and set IDTokens to a [verify.JWT] whose Lookup knows the
// tenants.
package login
