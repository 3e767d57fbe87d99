// Package middleware authenticates requests to an http.Handler and keeps a
// browser's login alive.
//
// The browser holds an access token and a refresh token in HttpOnly cookies,
// and a marker that its scripts can read. A request whose access token has ended
// is not refused: the tokens are exchanged on the way, the handler finds the new
// ones, and the browser gets the new cookies with the answer. Clients without
// cookies send their access token as Authorization: Bearer.
//
// A program that puts this before a handler it already has, for the users of an
// OpenID provider:
//
//	package main
//
//	import (
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
//		provider := &discovery.Provider{Issuer: "https://login.example"}
//		tokens, err := verify.New(verify.Issuer{URL: provider.Issuer, Audience: []string{"https://api.example"}})
//		if err != nil {
//			log.Fatal(err)
//		}
//		client := &refresh.OAuth2{ClientID: "web", ClientSecret: os.Getenv("CLIENT_SECRET"), Discovery: provider}
//		auth := &middleware.Auth{Verifier: tokens, Refresher: client, LoginURL: "/auth/login"}
//		flow := &login.Flow{Auth: auth, Client: client, RedirectURL: "http://localhost:8080/auth/callback"}
//		if err := flow.Validate(); err != nil {
//			log.Fatal(err)
//		}
//		mux := http.NewServeMux()
//		mux.Handle("/", auth.Require(http.HandlerFunc(hello)))
//		mux.Handle("/auth/login", flow.Start())
//		mux.Handle("/auth/callback", flow.Callback())
//		mux.Handle("/auth/logout", auth.Logout(flow.EndSession))
//		mux.Handle("/auth/refresh", auth.RefreshHandler()) // for scripts; pages do without
//		log.Fatal(http.ListenAndServe("localhost:8080", mux))
//	}
//
//	func hello(w http.ResponseWriter, r *http.Request) {
//		token, _ := middleware.FromContext(r.Context())
//		w.Write([]byte("hello " + token.Subject))
//	}
//
// A service with users of its own calls [Auth.SignIn] in the place of package
// login, and has its tokens from package refresh/local. An API whose clients send
// their tokens in the header needs the Verifier alone.
//
// # What a request is answered with
//
//   - No credential: 401 with the challenge Bearer (RFC 6750). Where LoginURL is
//     set, a page navigation is redirected there in place of any 401.
//   - A bad or expired token and nothing to refresh it with, or a refresh token
//     that the provider refuses: 401 with error="invalid_token". In the second
//     case the cookies are cleared.
//   - A missing scope, or group: 403 with error="insufficient_scope".
//   - A revoked token, where [Auth.Revocations] are set: as a bad one. Where its
//     whole login has been revoked: as a refused refresh token, in cookies.
//   - Two Authorization headers, or a malformed bearer token: 400.
//   - A request that changes something, or opens a WebSocket, from another
//     origin, where a cookie would decide: 403, before anything else is done.
//   - The provider or its keys out of reach, and no token that is still good: 503
//     with Retry-After. The login stays.
//
// A bearer token in the Authorization header decides alone: the cookies beside
// it are neither used nor refreshed.
//
// # What is promised
//
// One refresh token is presented to the provider once, however many requests
// carry it, and all of them get the same new tokens; see [refresh.Coordinator]
// for how long. Only the provider, the user or the clock ends a login (a sign-out,
// or a new sign-in in the same browser), no time-out and no bad answer. Nobody gets
// the tokens of another subject. A sign-out wins against a response under way, and so do newer tokens. An answer
// with tokens in its cookies is never cached. No token, no cookie value and no
// piece of one is in an error or an [event.Event].
//
// # What can be seen
//
// Auth.Observe hears what has become of each request and of each login, and what
// many requests share: the calls of a [refresh.Coordinator], the fetches of a
// [verify.JWT], the ends of logins that are kept on the server. One line logs it
// all:
//
//	auth.Observe = event.Log(slog.Default())
//
// A nil Observe costs nothing. The kinds of events are in package
// [github.com/tokenlife/tokenlife/refresh/event].
//
// # Before a token's time is over
//
// An access token is good until it expires, also after a sign-out: whoever has
// copied one can use it that long, and all that a provider revokes is the refresh
// token. Short-lived access tokens are the answer that costs nothing. For those
// who cannot wait for them there are [Revocations]:
//
//	                                  a revocation counts after   Store reads
//	no Revocations                    the token's life            none
//	CacheFor 60 s                     60 s                        2 per login and 59.5 s
//	CacheFor 10 s, the default        10 s                        2 per login and 9.5 s
//	CacheFor negative                 at once                     2 per request
//
// for each replica, and 4 or 5 more for an exchange of tokens, at most 12 if
// many requests wait for it; a revocation writes once. A request for which
// nothing is read pays a tenth of a microsecond and no allocation. With
// Revocations set, signing out revokes the access token as well, and BackChannel
// of package login lets the provider end logins.
//
// A login that is revoked is not brought back by a refresh, one under way
// included. What remains: a Store out of reach, for as long as it is; the
// clocks, since a cut-off is held against the time that the issuer puts into its
// tokens; a [Verifier] of one's own that has no VerifyExpired and takes an
// expired token's time of issue from what it has not verified; and bearer tokens
// behind [Auth.KeepAlive], which leaves them to its handler. On the other side, who
// has signed in anew after such a revocation has to do so once more if the
// issuer has withdrawn the key of an access token before it is exchanged.
//
// # Cost
//
// What a request costs that is let through, as a part of what the usual code
// with keyfunc and golang-jwt takes (RS256, a token of about a kilobyte, on two
// shared cores; run go test -bench . -cpu 1 in this folder for another table):
//
//	                                           time   allocations
//	token in use, in the Authorization header  0.010      2 (66 by hand)
//	token in use, in an unsealed cookie        0.015      2
//	the same of a login that can be refreshed  0.025      3
//	KeepAlive, where the marker has time left  0.050      2
//	refused with 401: no credential            0.015      4
package middleware
