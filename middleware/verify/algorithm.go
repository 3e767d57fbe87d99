package verify

import (
	"crypto/rsa"

	"github.com/golang-jwt/jwt/v5"
)

// An algorithm is a signature algorithm of RFC 7518 section 3.1, RFC 8037 or
// RFC 9864, and the kind of key that it goes with.
type algorithm struct {
	bit    uint16 // its place in a set of algorithms
	kty    string
	crv    string // empty for RSA
	method jwt.SigningMethod
}

// algorithms are all that can be configured. HMAC is missing because a public
// key set cannot hold a secret, and "none" because it signs nothing.
var algorithms = map[string]*algorithm{
	"RS256": {1 << 0, "RSA", "", jwt.SigningMethodRS256},
	"RS384": {1 << 1, "RSA", "", jwt.SigningMethodRS384},
	"RS512": {1 << 2, "RSA", "", jwt.SigningMethodRS512},
	"PS256": {1 << 3, "RSA", "", saltOfHashLength(jwt.SigningMethodPS256)},
	"PS384": {1 << 4, "RSA", "", saltOfHashLength(jwt.SigningMethodPS384)},
	"PS512": {1 << 5, "RSA", "", saltOfHashLength(jwt.SigningMethodPS512)},
	"ES256": {1 << 6, "EC", "P-256", jwt.SigningMethodES256},
	"ES384": {1 << 7, "EC", "P-384", jwt.SigningMethodES384},
	"ES512": {1 << 8, "EC", "P-521", jwt.SigningMethodES512},
	"EdDSA": eddsa,

	// RFC 9864 section 2.2. The other names of that RFC are for curves that this
	// package does not have (Ed448), or not for JOSE (ESP256 and its like).
	"Ed25519": eddsa,
}

var eddsa = &algorithm{1 << 9, "OKP", "Ed25519", jwt.SigningMethodEdDSA}

// saltOfHashLength returns m for salts of the length that RFC 7518 section 3.5
// requires. golang-jwt by itself accepts any length.
func saltOfHashLength(m *jwt.SigningMethodRSAPSS) *jwt.SigningMethodRSAPSS {
	return &jwt.SigningMethodRSAPSS{
		SigningMethodRSA: m.SigningMethodRSA,
		Options:          &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: m.Hash},
	}
}
