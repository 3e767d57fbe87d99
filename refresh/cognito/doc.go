// Package cognito refreshes the tokens of users of an Amazon Cognito user pool,
// by the JSON API of the pool. It needs no hosted domain and no AWS
// credentials. For app clients with a hosted domain, a refresh.OAuth2 at the
// domain's /oauth2/token works as well. Logins that began there can be
// refreshed by this package.
//
// A [Pool] does not coordinate refreshes: make it the Refresher of a
// middleware.Auth or of a refresh.Coordinator. A program that calls an API for
// its user:
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
//		"github.com/tokenlife/tokenlife/refresh/cognito"
//	)
//
//	func main() {
//		c := &refresh.Coordinator{Refresher: &cognito.Pool{
//			Region:   "eu-central-1",
//			ClientID: "1h57kf5cpq17m0eml12EXAMPLE",
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
// # Rotation
//
// A refresh is one call of GetTokensFromRefreshToken, which works with and
// without rotation of refresh tokens. Where that operation is not available, as
// at some emulators, the package calls InitiateAuth with REFRESH_TOKEN_AUTH,
// and calls that first from then on. InitiateAuth never uses up a refresh
// token. GetTokensFromRefreshToken can, so it is never called twice for one
// refresh.
package cognito
