package middlewaretest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
)

// A key signs tokens with ES256 (RFC 7518 section 3.4).
type key struct {
	id      string
	private *ecdsa.PrivateKey
}

func newKey() *key {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	return &key{rand.Text(), private}
}

// sign makes a JWT of claims; typ goes into its header.
func (k *key) sign(typ string, claims map[string]any) string {
	t := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims(claims))
	t.Header["typ"] = typ
	t.Header["kid"] = k.id
	signed, err := t.SignedString(k.private)
	must(err)
	return signed
}

// jwks is the public half, as an issuer publishes it (RFC 7517 section 5).
func (k *key) jwks() []byte {
	described, err := jwkset.NewJWKFromKey(k.private.Public(), jwkset.JWKOptions{
		Metadata: jwkset.JWKMetadataOptions{ALG: jwkset.AlgES256, KID: k.id, USE: jwkset.UseSig},
	})
	must(err)
	doc, err := json.Marshal(jwkset.JWKSMarshal{Keys: []jwkset.JWKMarshal{described.Marshal()}})
	must(err)
	return doc
}

// must panics with err, a mistake in the test that calls this package.
func must(err error) {
	if err != nil {
		panic("middlewaretest: " + err.Error())
	}
}
