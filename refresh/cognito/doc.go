// Package cognito refreshes the tokens of users of an Amazon Cognito user pool by
// the pool's own JSON API: it needs no hosted domain and no AWS credentials. A
// refresh.OAuth2 at the domain's /oauth2/token serves app clients that have a
// domain as well, and logins that began there can be refreshed here.
//
// The package knows Cognito's operations and exceptions, and nothing of
// coordination: give a [Pool] to a middleware.Auth or a refresh.Coordinator as
// its Refresher. A program that calls an API for its user needs no more than
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
// A refresh is one call of GetTokensFromRefreshToken, which works whether or not
// the app client rotates refresh tokens. Where that operation is not available,
// as at some emulators, the package calls InitiateAuth with REFRESH_TOKEN_AUTH
// instead, and from the next refresh on first. InitiateAuth never spends a refresh
// token; GetTokensFromRefreshToken may, and is never called twice for one refresh.
package cognito
