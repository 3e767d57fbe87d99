// Package discovery finds the endpoints of an OpenID Connect provider or OAuth
// 2.0 authorization server from its issuer URL.
//
// A [Provider] needs nothing but the issuer. It asks when it is first used, so
// that a program starts while its provider is down, and keeps what it learned.
// Share one Provider between everything that talks to the same issuer: it is the
// Discovery of a refresh.OAuth2, which signs in and refreshes. By itself it tells
// what a provider has, as in this program, which is given the issuer's URL:
//
//	package main
//
//	import (
//		"context"
//		"fmt"
//		"log"
//		"os"
//
//		"github.com/tokenlife/tokenlife/refresh/discovery"
//	)
//
//	func main() {
//		if len(os.Args) != 2 {
//			log.Fatal("usage: endpoints https://accounts.example.com")
//		}
//		provider := &discovery.Provider{Issuer: os.Args[1]}
//		m, err := provider.Metadata(context.Background())
//		if err != nil {
//			log.Fatal(err)
//		}
//		fmt.Println("authorization:", m.AuthorizationEndpoint)
//		fmt.Println("tokens:       ", m.TokenEndpoint)
//		fmt.Println("revocation:   ", m.RevocationEndpoint)
//		fmt.Println("key set:      ", m.JWKSURI)
//	}
//
// # What is believed
//
// The document has to name the issuer that it was asked for, letter by letter
// (RFC 8414, section 3.3), and its endpoints have to be https where the issuer
// is. It is the root of what a program believes of its provider: who can change
// it can send users elsewhere. A program that wants to depend on nothing at its
// start writes the endpoints down instead, in the fields of a refresh.OAuth2, a
// login.Flow and a verify.Issuer.
package discovery
