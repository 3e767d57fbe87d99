// Package refresh exchanges the tokens of a login for new ones: at an OAuth 2.0
// token endpoint with [OAuth2], or anywhere else with a [Refresher] of one's
// own, and once per refresh token with a [Coordinator].
//
// It knows nothing of requests and cookies. The package middleware puts it to
// use for browsers; a program that calls an API for its user can use it alone:
//
//	package main
//
//	import (
//		"context"
//		"errors"
//		"log"
//		"os"
//
//		"github.com/tokenlife/tokenlife/refresh"
//		"github.com/tokenlife/tokenlife/refresh/discovery"
//	)
//
//	func main() {
//		c := &refresh.Coordinator{Refresher: &refresh.OAuth2{
//			ClientID:  "cli",
//			Discovery: &discovery.Provider{Issuer: "https://login.example"},
//		}}
//		defer c.Close()
//		tokens, err := c.Refresh(context.Background(), refresh.Tokens{Refresh: os.Getenv("REFRESH_TOKEN")})
//		switch {
//		case errors.Is(err, refresh.ErrDenied):
//			log.Fatal("please sign in again")
//		case err != nil:
//			log.Fatal(err) // the tokens are still good: try later
//		}
//		log.Print("signed in until ", tokens.Expiry)
//	}
//
// # How the client authenticates
//
// By default an [OAuth2] authenticates as the provider's metadata say, with the
// credential that it has: a ClientSecret, or a Secret that changes, in the
// header or in the form; a Key that signs an assertion; or none, as a public
// client. AuthMethod names one way, among them mutual TLS, which nothing else
// chooses. The client does the same at each endpoint, and sends nothing twice
// to try another way.
//
// # What can be seen
//
// The Observe of a [Coordinator] hears of each call for new tokens, with how
// many waited for it and what came of it, and of each failure of the Store. One
// line logs it:
//
//	c.Observe = event.Log(slog.Default())
//
// A Coordinator without an Observe tells its events to that of the
// middleware.Auth that uses it.
//
// A provider that is slow shows in Took, and one that a service has too little
// patience with in the outcome "no_answer".
//
// # What can be lost
//
// A provider that rotates refresh tokens and gives no grace to the old one can
// lose a login where nobody can help it. It has accepted a refresh token, and
// its answer reaches no process of ours: the connection broke, or the replica
// was killed before it could tell the Store. The remedy is at the provider, a
// grace time of ten seconds or more (Cognito calls it the retry grace period,
// Auth0 the reuse interval), within which the same question gets the same
// answer. A Coordinator asks again by itself after a lost answer, three times
// within seven seconds: the callers that wait share the second attempt, and
// nobody needs to come back for the others. An answer that is lost as an outage
// begins which lasts longer than the grace cannot be asked for again.
//
// Where the replica itself was killed, somebody else asks again, and is held
// back for up to five seconds by the claim that it has left in the Store: three
// where that claim followed on another one that was left so, and fifteen where
// it was killed late in its call, after as many seconds. A replica that stands
// still for longer than that, paused with its machine, is taken for a dead one:
// a provider without grace then sees the token twice.
//
// A provider whose grace gives another successor to each question makes several
// logins of one that has lost an answer. A sign-out revokes them all there, but
// ends here only the one that it was asked for: an answer that is still under
// way with another can bring access tokens that are good until they end.
//
// A Store that is out of reach is waited for, half of Timeout and 2.5 s at the
// most, and one that is silent for three seconds: it may be restarting. One
// that stays away for longer, or that loses what it has (a Redis without
// persistence that restarts), leaves each replica with what it has seen itself:
// tokens that another replica has exchanged, a moment or an hour ago, are
// presented to the provider once more. One without grace takes them for stolen,
// and so does one whose grace has passed.
//
// A provider that takes a connection and never answers costs each caller
// Timeout, and its login a second one: only then is it certain that the answer
// will not come, and that the refresh token can be presented again.
package refresh
