// Package refreshtest is for tests of code that refreshes logins. It has a
// provider and a store that fail in the ways in which real ones do, and the
// test that every [refresh.Store] must pass.
//
// Tests of handlers behind package middleware are easier to set up with package
// middlewaretest. This package is for tests of whole programs, and of your own
// Refreshers and Stores.
//
// A [Provider] is a small OpenID Connect provider that signs anybody in. It
// serves discovery, keys, authorization, tokens, revocation and end of session,
// so that a whole program can run against it. This program is such a provider,
// for trying out another program with the issuer http://localhost:9000. Its
// access tokens live for 20 seconds:
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
// In a test, [NewServer] serves it on a socket. Without a socket, it works in a
// bubble of testing/synctest, where time is virtual and an hour passes at once:
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
// A [Cognito] is the same for package cognito. [TestStore] is the test of
// stores, for which [StartRedis] and [StartPostgres] start servers. A
// [FaultyStore] is a store that fails.
//
// Nothing in this package is safe outside of tests.
package refreshtest
