// Package verify verifies access tokens: signed JWTs (RFC 7519, RFC 9068) of a
// configured issuer, for this service, not expired, with a signature by a key
// that the issuer publishes. Tokens that are no JWTs it verifies by asking their
// provider: see below.
//
// Use it through package middleware, whose handlers find the token in a
// request, or by itself if tokens arrive some other way:
//
//	package main
//
//	import (
//		"errors"
//		"log"
//		"net/http"
//		"strings"
//
//		"github.com/tokenlife/tokenlife/middleware/verify"
//	)
//
//	func main() {
//		tokens, err := verify.New(verify.Issuer{
//			URL:      "https://accounts.example.com",
//			Audience: []string{"https://api.example.com"},
//		})
//		if err != nil {
//			log.Fatal(err)
//		}
//		defer tokens.Close()
//
//		http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
//			raw, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
//			token, err := tokens.Verify(r.Context(), raw)
//			switch {
//			case errors.Is(err, verify.ErrInvalid), errors.Is(err, verify.ErrExpired):
//				w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
//				http.Error(w, "sign in", http.StatusUnauthorized)
//			case err != nil: // the issuer's keys could not be had
//				w.Header().Set("Retry-After", "2")
//				http.Error(w, "try again", http.StatusServiceUnavailable)
//			default:
//				w.Write([]byte("hello, " + token.Subject))
//			}
//		})
//		log.Fatal(http.ListenAndServe("localhost:8080", nil))
//	}
//
// # What is refused
//
// A token names its issuer and its key, and supplies neither. Only configured
// issuers and algorithms are accepted; jku, jwk, x5u and x5c are ignored.
// Entries of a key set that are symmetric, private, weak, malformed or not
// meant for signatures are left out, each by itself; [event.KeysFetched] says
// which and why. Of several keys with one ID those are tried that fit the
// algorithm, and so are those of the whole set for a token without a kid: four
// at most.
//
// These tokens are refused:
//
//   - in another encoding than the usual one (padding, line breaks, loose bits)
//   - of JSON that programs read differently (a member twice or in another case,
//     broken UTF-8)
//   - with header extensions (crit)
//   - made for another use (logout, DPoP, other values of typ)
//   - without exp, sub, iss or, unless it is waived, aud
//
// # Keys
//
// Each issuer has its own key set, fetched when its first token arrives and
// again under traffic: in the background once it is half of [JWT].KeysMaxAge
// old. A provider that is down, or answers with nonsense, takes no key away
// until [JWT].MaxStale. A key that the provider has removed is refused within
// KeysMaxAge, for cached tokens too. A new key is fetched for the first token
// that names it, at most once per [JWT].Cooldown whatever clients send. A wrong
// signature never causes a fetch. A goroutine exists only while a fetch runs.
// The Observe of a [JWT] hears of each fetch, and of its failure; without one,
// that of the middleware.Auth hears it whose Verifier the JWT is.
//
// Keys are stored by github.com/MicahParks/jwkset and found by
// github.com/MicahParks/keyfunc; github.com/golang-jwt/jwt checks the
// signatures. This package fetches the keys and parses tokens strictly.
//
// # Tokens that are no JWTs
//
// Many providers give access tokens that only they can read: Ory Hydra and
// zitadel unless they are configured to make JWTs, Google and GitHub always,
// Auth0 unless an audience is asked for. There are two Verifiers for them, which
// ask the provider:
//
//	Introspection  RFC 7662: says if the token is active, for whom it was made,
//	               and its expiry, scopes and subject
//	UserInfo       says whose the token is, and nothing else of it
//
// An [Introspection] is the safer one: a [UserInfo] cannot tell a token that was
// made for another client. Both give the [Token] that a JWT gives; its Claims
// are the provider's answer.
//
//	client := &refresh.OAuth2{
//		ClientID: "shop", ClientSecret: secret,
//		Discovery: &discovery.Provider{Issuer: "https://hydra.example.com"},
//		IntrospectURL: "http://127.0.0.1:4445/admin/oauth2/introspect", // if the metadata names none
//	}
//	tokens := &verify.Introspection{
//		Ask:     client.Introspect,
//		Issuer:  "https://hydra.example.com",
//		Clients: []string{"shop"},
//	}
//	auth := &middleware.Auth{Verifier: tokens, Refresher: client}
//
// The one number to choose is Remember, a minute by default: for so long an
// answer is used, and a token accepted that the provider has revoked meanwhile.
// A token in use costs what a cached JWT costs, and one call per Remember,
// however many requests there are. While the provider is down, a remembered
// token stays good for its time, and others cannot be verified: 503. Made-up
// tokens have a share of the calls of their own.
//
// A provider says the same of an expired token as of a made-up one. The
// middleware refreshes a login in both cases. Whose an expired token was is
// remembered by the process that has seen it: there, a refresh may not change
// the subject.
//
// # Cost
//
// A verified token is cached until it expires or its key is removed, in about
// 300 bytes (in github.com/hashicorp/golang-lru, under its first segment and
// the SHA-256 of the rest). The 512 tokens most in use are found without
// hashing them. The table has the time of each case divided by the time of the
// usual code with keyfunc and golang-jwt for the same token of 1,054 bytes
// (RS256 on two shared cores; run go test -bench . -cpu 1 in this folder for
// another):
//
//	                                      time   allocations
//	whole request, token in use           0.008      2 (73 by hand)
//	Verify, token in use                  0.002      0 (70)
//	Verify, one of 4,096 tokens in turn   0.023      0 (70)
//	Verify, first sight, RS256            0.81      17 (70)
//	Verify, first sight, ES256            0.91      29 (82)
//	Verify, first sight, EdDSA            0.86       6 (59)
//	refused: 48 KB long                   0.0001     0 (32)
//	refused: no dots in it                0.21       0 (7)
//	refused: alg none                     0.022      0 (58)
//	refused: key ID unknown               0.72 µs    0 (waits for a limiter)
//	refused: expired                      0.083     10 (77)
//	refused: another issuer               0.033      3 (70)
//	refused: wrong signature              0.80      12 (75)
package verify
