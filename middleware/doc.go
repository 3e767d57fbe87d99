// Package middleware authenticates requests to an http.Handler and keeps a
// browser's login alive.
//
// The browser has an access token and a refresh token in HttpOnly cookies, and
// a marker that scripts can read. A request whose access token has expired is
// not refused. The middleware exchanges the tokens for new ones, the handler
// gets the new access token, and the response sets the new cookies. Clients
// without cookies send their access token as Authorization: Bearer.
//
// A program that serves the users of an OpenID provider:
//
//	package main
//
//	import (
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
//		provider := &discovery.Provider{Issuer: "https://login.example"}
//		tokens, err := verify.New(verify.Issuer{URL: provider.Issuer, Audience: []string{"https://api.example"}})
//		if err != nil {
//			log.Fatal(err)
//		}
//		client := &refresh.OAuth2{ClientID: "web", ClientSecret: os.Getenv("CLIENT_SECRET"), Discovery: provider}
//		auth := &middleware.Auth{
//			Verifier:  tokens,
//			Refresher: client,
//			Cookies:   cookies.Policy{KeepID: true}, // the provider wants the ID token at a sign-out
//			LoginURL:  "/auth/login",
//		}
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
// A service with users of its own calls [Auth.SignIn] instead of package login,
// and gets its tokens from package refresh/local. An API whose clients send
// their tokens in the header needs the Verifier alone.
//
// # Refused requests
//
//   - No credential: 401 with the challenge Bearer (RFC 6750). If LoginURL is set,
//     a page navigation is redirected there instead of any 401.
//   - An invalid or expired access token without a refresh token, or a refresh
//     token that the provider refuses: 401 with error="invalid_token". In the
//     second case the cookies are cleared.
//   - A missing scope or group: 403 with error="insufficient_scope".
//   - An authentication that is not the demanded one: 401 with
//     error="insufficient_user_authentication" (RFC 9470); a page navigation is
//     redirected to LoginURL, and comes back.
//   - A token that [Auth.Revocations] have revoked: as an invalid one. If its whole
//     login is revoked, and is in cookies: as a refused refresh token.
//   - Two Authorization headers, or a malformed bearer token: 400.
//   - A request from another origin that could change something with the login in
//     its cookies, or that opens a WebSocket: 403.
//   - The provider or its keys cannot be reached, and no token is good: 503 with
//     Retry-After. The login stays.
//
// A bearer token in the Authorization header decides alone: the cookies are
// neither used nor refreshed.
//
// # Promises
//
// A refresh token is presented to the provider once, however many requests have
// it, and all of them get the same new tokens. See [refresh.Coordinator] for
// how long. Only the provider, the user or the clock ends a login. The user
// ends it by a sign-out, or by a new sign-in in the same browser. A time-out
// and a bad response do not end it. Nobody gets the tokens of another subject.
// A sign-out wins over responses under way, and so do newer tokens. A response
// that sets our cookies is never cached. No token, no cookie value and no piece
// of one is in an error or an [event.Event].
//
// # Events
//
// Auth.Observe hears what has become of each request and of each login, and
// what many requests share: the calls of a [refresh.Coordinator], the fetches
// of a [verify.JWT], the ends of logins that are kept on the server. One line
// logs it all:
//
//	auth.Observe = event.Log(slog.Default())
//
// A nil Observe costs nothing. The kinds of events are in package
// [github.com/tokenlife/tokenlife/refresh/event].
//
// # Revocations
//
// An access token is good until it expires, also after a sign-out: a provider
// revokes the refresh token only. Access tokens with a short life are the
// solution that costs nothing. If you cannot wait until they expire, use
// [Revocations]:
//
//	                                  a revocation counts after   Store reads
//	no Revocations                    the token's life            none
//	CacheFor 60 s                     60 s                        2 per login and 59.5 s
//	CacheFor 10 s, the default        10 s                        2 per login and 9.5 s
//	CacheFor negative                 at once                     2 per request
//
// The reads are those of each replica. A refresh reads 4 or 5 times more, and
// at most 12 times if many requests wait for it. A revocation writes once. A
// request for which nothing is read costs a tenth of a microsecond and no
// allocation. With Revocations, a sign-out revokes the access token as well,
// and BackChannel of package login lets the provider end logins.
//
// No refresh brings a revoked login back, not even one that is under way. There
// are limits:
//
//   - While the Store cannot be reached, revocations by other replicas do not count.
//   - A cut-off is compared with the time of issue in a token, which is by the clock
//     of the issuer.
//   - A [Verifier] without VerifyExpired takes the time of issue of an expired token
//     without having verified its signature.
//   - Behind [Auth.KeepAlive] the handler judges bearer tokens.
//   - A user who has signed in again after such a revocation has to do so once more
//     if the issuer withdraws the key of an access token before it is refreshed.
//
// # Cost
//
// The time of a request that passes is given as a part of the time that the
// usual code with keyfunc and golang-jwt takes (RS256, a token of about a
// kilobyte, on two shared cores; run go test -bench . -cpu 1 in this folder for
// another table):
//
//	                                           time   allocations
//	token in use, in the Authorization header  0.010      2 (66 by hand)
//	token in use, in an unsealed cookie        0.015      2
//	the same of a login that can be refreshed  0.025      3
//	KeepAlive, where the marker has time left  0.050      2
//	refused with 401: no credential            0.015      4
package middleware
