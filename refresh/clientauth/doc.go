// Package clientauth has what a client proves its identity with at a provider,
// where that is no plain secret: a private key that signs assertions
// (private_key_jwt; RFC 7523), a certificate for mutual TLS (RFC 8705), and the
// client secret of Apple, which is a signed token that ends.
//
// A [Key] is read from files, and read again when they change, so that a key can
// be replaced while the program runs. It is the Key of a refresh.OAuth2. The
// provider must know its public half, as this program prints it for the key in
// a file: to be registered, or to be served at the client's jwks_uri.
//
//	package main
//
//	import (
//		"fmt"
//		"log"
//		"os"
//
//		"github.com/tokenlife/tokenlife/refresh/clientauth"
//	)
//
//	func main() {
//		if len(os.Args) != 2 {
//			log.Fatal("usage: jwks key.pem")
//		}
//		key := &clientauth.Key{File: os.Args[1]}
//		set, err := key.JWKS()
//		if err != nil {
//			log.Fatal(err)
//		}
//		fmt.Println(string(set))
//	}
//
// For a key with a certificate, the provider must know the certificate or who
// has issued it.
package clientauth
