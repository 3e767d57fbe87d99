// Package discovery finds the endpoints of an OpenID Connect provider or OAuth
// 2.0 authorization server from its issuer URL.
//
// A [Provider] needs only the issuer. It fetches the provider's metadata when
// it is first used, so that a program can start while its provider is down, and
// caches them. Share one Provider between everything that talks to the same
// issuer: it is the Discovery of a refresh.OAuth2, which signs in and
// refreshes. By itself it lists a provider's endpoints, as in this program,
// whose argument is the issuer's URL:
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
// # Trust
//
// The document must name exactly the issuer that it was requested for (RFC
// 8414, section 3.3), and if the issuer is an https URL, so must be the
// endpoints that are used. All trust in a provider begins with this document: an attacker who
// can change it can send users elsewhere. A program that should not depend on
// discovery sets the endpoints in the fields of a refresh.OAuth2, a login.Flow
// and a verify.Issuer.
package discovery
