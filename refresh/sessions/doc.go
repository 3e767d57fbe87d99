// Package sessions keeps the tokens of logins on the server. A client holds
// random handles in their place, which mean nothing to anybody else and change
// at each refresh.
//
// Use it where a provider's tokens should not leave the server, sealed or not;
// where logins are to be listed and ended ("sign out everywhere"); or where a
// stolen refresh token of a provider that does not rotate them is to be
// noticed. It costs a Store that replicas share, one read of it for each login
// in use and ten seconds, and three writes at each refresh. A program whose
// users sign in at a provider:
//
//	package main
//
//	import (
//		"log"
//		"net/http"
//
//		"github.com/tokenlife/tokenlife/middleware"
//		"github.com/tokenlife/tokenlife/middleware/verify"
//		"github.com/tokenlife/tokenlife/refresh"
//		"github.com/tokenlife/tokenlife/refresh/discovery"
//		"github.com/tokenlife/tokenlife/refresh/sessions"
//	)
//
//	func main() {
//		const issuer = "https://login.example"
//		verifier, err := verify.New(verify.Issuer{URL: issuer, Audience: []string{"https://api.example"}})
//		if err != nil {
//			log.Fatal(err)
//		}
//		defer verifier.Close()
//		logins := &sessions.Sessions{
//			Refresher: &refresh.OAuth2{
//				ClientID:  "site",
//				Discovery: &discovery.Provider{Issuer: issuer},
//			},
//			Store: new(refresh.MemoryStore), // sqlstore or redisstore where logins are to last
//		}
//		defer logins.Close()
//		auth := &middleware.Auth{Verifier: verifier, Refresher: logins}
//		defer auth.Close()
//		// Package login signs users in: auth.SignIn starts their logins here.
//		http.Handle("/", auth.Require(http.FileServer(http.Dir("private"))))
//		log.Fatal(http.ListenAndServe("localhost:8080", nil))
//	}
//
// # What the Store holds
//
// One record for each login, a list of logins for each subject and for each
// session of the provider, and for seconds a claim for each refresh. Their keys
// are hashes. In a record, issuer, subject, session, device and times are there
// to read; the tokens are sealed (AES-256-GCM) under keys that follow from the
// client's handles, of which there are hashes only. So who reads the Store can
// neither use a login nor forge a handle, and there is no key to look after.
// Who can write to it can end logins.
//
// # What can be lost
//
// Nothing that a time-out, a crash or an error of the Store does ends a login:
// every change is one compare-and-swap, and whoever comes again with the same
// handle gets what was made of it. A crash after the provider has answered and
// before the answer is in the Store is the exception: a provider that keeps
// strictly to single use takes the next attempt for theft.
//
// A replica that asks the provider holds others back by a claim in the Store.
// If it dies, the claim lapses after four seconds, by the Store's clock: those
// of replicas may differ. One that stands still for longer than that, between
// the provider's answer and the write of it, is as good as dead to the others.
//
// After an outage of the Store, results go there first that could not be
// written in it. A replica that has noticed the outage waits two seconds for
// those of others before it asks the provider.
package sessions
