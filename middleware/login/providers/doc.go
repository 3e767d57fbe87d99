// Package providers has presets for providers of logins: what Google, GitHub,
// Okta, Keycloak and others do in their own way, as values for the fields of a
// login.Flow, a refresh.OAuth2 and what verifies their tokens. A site with a
// page behind a login at Google:
//
//	package main
//
//	import (
//		"fmt"
//		"log"
//		"log/slog"
//		"net/http"
//		"os"
//
//		"github.com/tokenlife/tokenlife/middleware"
//		"github.com/tokenlife/tokenlife/middleware/login/providers"
//		"github.com/tokenlife/tokenlife/refresh/event"
//	)
//
//	func main() {
//		google, err := providers.Google().SetUp(providers.Client{
//			ID:          os.Getenv("CLIENT_ID"),
//			Secret:      os.Getenv("CLIENT_SECRET"),
//			RedirectURL: "http://localhost:8080/auth/callback",
//		})
//		if err != nil {
//			log.Fatal(err)
//		}
//		google.Auth.LoginURL = "/auth/login"
//		google.Auth.Observe = event.Log(slog.Default()) // it says why a sign-in fails
//		if err := google.Flow.Validate(); err != nil {
//			log.Fatal(err)
//		}
//		mux := http.NewServeMux()
//		mux.Handle("/auth/login", google.Flow.Start())
//		mux.Handle("/auth/callback", google.Flow.Callback())
//		mux.Handle("/auth/logout", google.Auth.Logout(google.Flow.EndSession))
//		mux.Handle("/", google.Auth.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
//			token, _ := middleware.FromContext(r.Context())
//			fmt.Fprintln(w, "hello,", token.Subject)
//		})))
//		log.Fatal(http.ListenAndServe("localhost:8080", mux))
//	}
//
// A page for each provider, with what to enter at its console and what to be
// careful with, is in the folder examples/providers of this module's
// repository.
//
// # What can be changed
//
// A preset is a [Provider], a value whose fields can be changed before
// [Provider.SetUp]. What SetUp returns can be changed before its first use:
//
//	gitlab := providers.GitLab()
//	gitlab.Issuer = "https://gitlab.shop.example"
//	parts, err := gitlab.SetUp(client)
//	…
//	parts.Auth.Cookies.Keys = keys
//	parts.Auth.Refresher = &refresh.Coordinator{Refresher: parts.Client, Store: store}
//
// A provider that has no preset needs none if it speaks OpenID Connect: see
// package login. A [Provider] with its Issuer and Audience is the same.
//
// # What authenticates a request
//
// A [Credential] says what kind of token a request is authenticated by, since
// not every provider issues access tokens that others can read:
//
//   - [AccessToken]: Auth0, Cognito, Dex, Keycloak, Logto, Okta
//   - [IDToken]: AD FS, Apple, Entra ID, Google
//   - [Introspection]: Discord, GitHub, GitLab, LinkedIn, Salesforce, ZITADEL
//   - [UserInfo]: Hydra, Slack
//
// Of an opaque token a program has to know for which client it is. Else whoever
// runs another client of the provider could use the tokens of its users here.
// Where the provider says it at an endpoint of its own, the preset asks there.
// Only Slack does not say it.
//
// # What is given up
//
// At LinkedIn, ID tokens have no nonce, and there is no PKCE. At GitHub and
// Discord there is no ID token: the user is who the access token belongs to.
// The fields WithoutNonce, WithoutPKCE and WithoutIDToken of [Provider] say
// what that means. Beside that, and what is said of Slack above, no preset
// gives up anything.
package providers
