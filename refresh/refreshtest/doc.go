// Package refreshtest has what it takes to test code that refreshes logins: a
// provider and a store that fail in all the ways that real ones do, and the test
// that every [refresh.Store] must pass.
//
// For the tests of handlers behind package middleware, package middlewaretest
// has less to set up. This one is for programs as a whole, and for Refreshers and
// Stores of one's own.
//
// A [Provider] is a small OpenID Connect provider that signs anybody in. It
// serves discovery, keys, authorization, tokens, revocation and end of
// session, so that a whole program can be run against it. A program that is
// nothing but a provider, for trying out another, whose ISSUER is
// http://localhost:9000 and whose access tokens end while one looks on:
//
//	package main
//
//	import (
//		"log"
//		"net/http"
//		"time"
//
//		"github.com/tokenlife/tokenlife/refresh/refreshtest"
//	)
//
//	func main() {
//		provider := &refreshtest.Provider{
//			Issuer:     "http://localhost:9000",
//			ClientID:   "web",
//			AccessLife: 20 * time.Second,
//		}
//		log.Fatal(http.ListenAndServe("localhost:9000", provider))
//	}
//
// In a test, [NewServer] serves it on a socket of its own. Without a socket, it
// works in a bubble of testing/synctest, where time is virtual and an hour is
// over at once:
//
//	package shop
//
//	import (
//		"errors"
//		"testing"
//		"testing/synctest"
//		"time"
//
//		"github.com/tokenlife/tokenlife/refresh"
//		"github.com/tokenlife/tokenlife/refresh/refreshtest"
//	)
//
//	func TestALoginOutlivesItsProvidersBadHour(t *testing.T) {
//		synctest.Test(t, func(t *testing.T) {
//			provider := new(refreshtest.Provider)
//			tokens := &refresh.OAuth2{
//				ClientID: "client",
//				TokenURL: provider.URL("/token"),
//				Client:   provider.Client(),
//			}
//			login := provider.Login("alice")
//
//			provider.Fail(refreshtest.Unavailable, -1)
//			if _, err := tokens.Refresh(t.Context(), login); err == nil || errors.Is(err, refresh.ErrDenied) {
//				t.Fatal("want a temporary error, got", err)
//			}
//			time.Sleep(time.Hour)
//			provider.Fail(refreshtest.None, 0)
//			if _, err := tokens.Refresh(t.Context(), login); err != nil {
//				t.Error(err)
//			}
//		})
//	}
//
// A [Cognito] is the same for package cognito. [StartRedis] and [StartPostgres]
// start servers for the tests of stores, and [TestStore] is their test. A
// [FaultyStore] is a store that fails as real ones do.
//
// It is for tests. Nothing about it is safe for anything else.
package refreshtest
