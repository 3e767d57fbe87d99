package providers_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"sync"

	"github.com/golang-jwt/jwt/v5"

	"github.com/tokenlife/tokenlife/middleware/login/providers"
	"github.com/tokenlife/tokenlife/refresh/clientauth"
)

const appleTeam, appleKeyID = "TEAM123456", "ABC123DEFG"

// appleKey is the key that Apple has given.
var appleKey = sync.OnceValue(func() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
})

// client is the program at a provider.
func client(name string) providers.Client {
	c := providers.Client{ID: clientID, Secret: clientSecret, RedirectURL: origin + "/auth/callback"}
	if name == "apple" {
		c.Secret, c.Key = "", &clientauth.Key{Signer: appleKey(), ID: appleKeyID}
	}
	return c
}

// isAppleSecret reports whether a client secret is one that Apple accepts.
func isAppleSecret(secret string) bool {
	var claims jwt.RegisteredClaims
	token, err := jwt.ParseWithClaims(secret, &claims, func(*jwt.Token) (any, error) { return appleKey().Public(), nil },
		jwt.WithValidMethods([]string{"ES256"}), jwt.WithIssuer(appleTeam), jwt.WithSubject(clientID),
		jwt.WithAudience("https://appleid.apple.com"), jwt.WithExpirationRequired(), jwt.WithIssuedAt())
	return err == nil && token.Header["kid"] == appleKeyID && claims.ExpiresAt.Sub(claims.IssuedAt.Time).Hours() <= 180*24
}
