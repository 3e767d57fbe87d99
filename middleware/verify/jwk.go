package verify

import (
	"context"
	"crypto"
	"encoding/base64"
	"errors"
	"maps"
	"math/big"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/MicahParks/jwkset"
	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
)

const (
	maxKeys    = 100
	minRSABits = 2048
	maxRSABits = 8192 // verifying with a longer key is slow enough for an attack
)

// A key is a public key of an issuer. While the issuer publishes the key, every
// snapshot has the same *key. Cached tokens that were verified with it are good
// until live becomes false.
type key struct {
	jwkset.JWKMarshal
	public crypto.PublicKey
	set    *keySet
	live   atomic.Bool
}

// fits reports whether the key may verify signatures of alg.
func (k *key) fits(alg *algorithm) bool {
	return string(k.KTY) == alg.kty && string(k.CRV) == alg.crv &&
		(k.ALG == "" || string(k.ALG) == alg.method.Alg())
}

// verify checks a signature over signed.
func (k *key) verify(h *header, signed string, signature []byte) error {
	switch {
	case !k.fits(h.alg):
		return refusal("algorithm does not fit the key")
	case h.alg.method.Verify(signed, signature, k.public) != nil:
		return refusal("wrong signature")
	}
	return nil
}

// same reports whether the two are one public key for the same algorithm.
func (k *key) same(other *key) bool {
	public, ok := k.public.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.ALG == other.ALG && public.Equal(other.public)
}

// parseKeys reads a JWKS document (RFC 7517 section 5) and returns its usable
// keys by their ID. It leaves out keys that are malformed, weak, or not for
// verifying signatures, and both of two different keys with one ID, as a token
// does not say which of them it means. A document without usable keys is an
// error.
func parseKeys(document []byte) (map[string]*key, error) {
	var list []byte
	if !members(document, func(name, value []byte) bool {
		if string(name) == "keys" {
			list = value
		}
		return true
	}) {
		return nil, errors.New("not a plain JSON object")
	}
	if len(list) == 0 {
		return nil, errors.New("no keys member")
	}
	usable := make(map[string]jwkset.JWK)
	ambiguous := make(map[string]bool)
	n := 0
	if !elements(list, func(element []byte) bool {
		if jwk, ok := parseJWK(element); ok {
			id := jwk.Marshal().KID
			twin, twice := usable[id]
			ambiguous[id] = ambiguous[id] || twice && !sameKey(jwk, twin)
			usable[id] = jwk
		}
		n++
		return n <= maxKeys
	}) {
		return nil, errors.New("keys is not an array of at most 100")
	}
	maps.DeleteFunc(usable, func(id string, _ jwkset.JWK) bool { return ambiguous[id] })
	if len(usable) == 0 {
		return nil, errors.New("no usable key")
	}

	// keyfunc returns the public key for a token, from jwkset's storage. It is
	// asked here once for every key, so that no request waits for its lock.
	store := jwkset.NewMemoryStorage()
	if err := store.KeyReplaceAll(context.Background(), slices.Collect(maps.Values(usable))); err != nil {
		return nil, err
	}
	lookup, err := keyfunc.New(keyfunc.Options{Storage: store})
	if err != nil {
		return nil, err
	}
	keys := make(map[string]*key, len(usable))
	for id, jwk := range usable {
		m := jwk.Marshal()
		public, err := lookup.Keyfunc(&jwt.Token{Header: map[string]any{"alg": string(m.ALG), "kid": id}})
		if err != nil {
			return nil, err
		}
		keys[id] = newKey(m, public)
	}
	return keys, nil
}

func newKey(m jwkset.JWKMarshal, public crypto.PublicKey) *key {
	k := &key{JWKMarshal: m, public: public}
	k.live.Store(true)
	return k
}

// sameKey reports whether two entries of a document are the same key.
func sameKey(a, b jwkset.JWK) bool {
	return newKey(a.Marshal(), a.Key()).same(newKey(b.Marshal(), b.Key()))
}

// parseJWK reads one key and reports whether it can verify signatures.
func parseJWK(data []byte) (jwkset.JWK, bool) {
	var m jwkset.JWKMarshal
	str := func(value []byte, to *string) bool {
		s, ok := text(value)
		*to = string(s)
		return ok
	}
	ok := members(data, func(name, value []byte) bool {
		switch string(name) {
		case "kty":
			return str(value, (*string)(&m.KTY))
		case "use":
			return str(value, (*string)(&m.USE)) && m.USE == jwkset.UseSig
		case "alg":
			return str(value, (*string)(&m.ALG)) && algorithms[string(m.ALG)] != nil
		case "kid":
			return str(value, &m.KID)
		case "crv":
			return str(value, (*string)(&m.CRV))
		case "n":
			return str(value, &m.N)
		case "e":
			return str(value, &m.E)
		case "x":
			return str(value, &m.X)
		case "y":
			return str(value, &m.Y)
		case "key_ops":
			verifies := false
			return elements(value, func(element []byte) bool {
				op, ok := text(element)
				verifies = verifies || string(op) == "verify"
				return ok
			}) && verifies
		case "d", "p", "q", "dp", "dq", "qi", "oth", "k":
			// A private or symmetric key in a public document is known to
			// everybody.
			return false
		}
		return true
	})
	if !ok || !isSound(&m) {
		return jwkset.JWK{}, false
	}
	jwk, err := jwkset.NewJWKFromMarshal(m, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
	return jwk, err == nil
}

// isSound reports whether type, curve and algorithm fit together and the key is
// strong enough, which jwkset does not check. jwkset checks that a point is on
// its curve.
func isSound(m *jwkset.JWKMarshal) bool {
	switch m.KTY {
	case jwkset.KtyRSA:
		if m.CRV != "" || m.X != "" || m.Y != "" || !isSoundRSA(m.N, m.E) {
			return false
		}
	case jwkset.KtyEC, jwkset.KtyOKP:
		if m.N != "" || m.E != "" || (m.Y != "") != (m.KTY == jwkset.KtyEC) {
			return false
		}
	}
	for name, alg := range algorithms {
		if string(m.KTY) == alg.kty && string(m.CRV) == alg.crv && (m.ALG == "" || string(m.ALG) == name) {
			return true
		}
	}
	return false
}

func isSoundRSA(modulus, exponent string) bool {
	n, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(modulus, "="))
	if err != nil {
		return false
	}
	e, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(exponent, "="))
	if err != nil || len(e) > 4 {
		return false
	}
	N, E := new(big.Int).SetBytes(n), new(big.Int).SetBytes(e).Int64()
	switch bits := N.BitLen(); {
	case bits < minRSABits || bits > maxRSABits || N.Bit(0) == 0:
		return false
	case E < 3 || E > 1<<31-1 || E%2 == 0:
		return false
	}
	return !isROCA(N)
}

// isROCA reports whether n looks like the modulus of a key of Infineon's
// library that can be factored (CVE-2017-15361): modulo every small prime it is
// a power of 65537. The same holds for one in about 100 million sound keys.
func isROCA(n *big.Int) bool {
	var rest big.Int
	for p := int64(3); p <= 167; p += 2 {
		if !big.NewInt(p).ProbablyPrime(0) {
			continue
		}
		r := rest.Mod(n, big.NewInt(p)).Int64()
		power := int64(1)
		for ok := false; !ok; {
			if power == r {
				break
			}
			if power = power * 65537 % p; power == 1 {
				return false
			}
		}
	}
	return true
}
