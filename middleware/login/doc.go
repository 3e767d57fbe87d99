// Package login signs users in at an OpenID Connect provider, and hands the
// login over to package middleware, which keeps it alive.
//
// It uses the authorization code flow (OpenID Connect Core 1.0, section 3.1)
// with PKCE (RFC 7636). The provider knows the service as a client, by an ID and
// maybe a secret, and has two of its addresses on record: the one that the
// browser comes back to, and the one that it is sent to after signing out. A
// site with a page behind a login:
//
//	package main
//
//	import (
//		"fmt"
//		"log"
//		"net/http"
//		"os"
//
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
// Behind /logout is a handler for POST: a page signs out by a form, or by a
// script.
//
// # When the provider ends a login
//
// A provider that is told of /backchannel-logout calls it when its user has signed
// out there or at another site (OpenID Connect Back-Channel Logout 1.0). It takes
// the Revocations of the Auth to end a login before its access token's time is
// over; where no provider calls, both can be left out.
//
// Providers that name their session in access tokens too, by a claim sid, have
// that one login ended. Where access tokens lack it, all logins of the user end.
//
// # Providers with more than one name for a user
//
// The ID token and the access token of a login have to be of one issuer and of
// one subject; a sign-in with others ends with 502. Some providers name a user
// differently to each application. With Microsoft Entra ID, the API that access
// tokens are for has to be exposed by the application that signs in, and to ask
// for tokens of version 2, which have the issuer that ID tokens have.
//
// An address for the users of many tenants, such as Entra's common, has no issuer
// of its own that discovery could find. There, Issuer is any name for it, AuthURL
// and the TokenURL of Client are given, and IDTokens is a [verify.JWT] with a
// Lookup that knows the tenants.
package login
