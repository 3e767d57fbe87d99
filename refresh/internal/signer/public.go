package signer

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/MicahParks/jwkset"
)

// A Public describes a public key.
type Public struct {
	ID        string // the key's thumbprint (RFC 7638)
	Algorithm string
	jwk       []byte
}

// Describe describes a public key, which must be of a kind that [From] takes.
func Describe(key crypto.PublicKey) (Public, error) {
	alg, err := algorithmOf(key)
	if err == nil && (alg == ES384 || alg == ES512) {
		err = errors.New("signer: an ECDSA key that is not on P-256")
	}
	if err != nil {
		return Public{}, err
	}
	return describe(key, alg)
}

// algorithmOf returns the algorithm that a key is used with by default.
func algorithmOf(key crypto.PublicKey) (string, error) {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() < 2048 {
			return "", fmt.Errorf("signer: an RSA key of %d bits; 2048 are the least (RFC 7518, section 3.3)", key.N.BitLen())
		}
		return RS256, nil
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256():
			return ES256, nil
		case elliptic.P384():
			return ES384, nil
		case elliptic.P521():
			return ES512, nil
		}
		return "", errors.New("signer: an ECDSA key that is on none of P-256, P-384 and P-521")
	case ed25519.PublicKey:
		return EdDSA, nil
	}
	return "", fmt.Errorf("signer: a key of type %T, which is neither RSA nor ECDSA nor Ed25519", key)
}

func describe(key crypto.PublicKey, alg string) (Public, error) {
	p := Public{Algorithm: alg}
	options := jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{ALG: jwkset.ALG(p.Algorithm), USE: jwkset.UseSig}}
	jwk, err := jwkset.NewJWKFromKey(key, options)
	if err != nil {
		return p, fmt.Errorf("signer: describing a key: %w", err)
	}
	m := jwk.Marshal()
	// The members that the thumbprint covers, in the order of RFC 7638, section
	// 3.2. Members of other kinds of keys are empty.
	covered, err := json.Marshal(struct {
		Crv string `json:"crv,omitempty"`
		E   string `json:"e,omitempty"`
		Kty string `json:"kty"`
		N   string `json:"n,omitempty"`
		X   string `json:"x,omitempty"`
		Y   string `json:"y,omitempty"`
	}{string(m.CRV), m.E, string(m.KTY), m.N, m.X, m.Y})
	if err != nil {
		return p, fmt.Errorf("signer: describing a key: %w", err)
	}
	sum := sha256.Sum256(covered)
	p.ID = encode(sum[:])
	m.KID = p.ID
	if p.jwk, err = json.Marshal(m); err != nil {
		return p, fmt.Errorf("signer: describing a key: %w", err)
	}
	return p, nil
}

// Set returns a JWKS document (RFC 7517, section 5).
func Set(keys ...Public) []byte {
	var b bytes.Buffer
	b.WriteString(`{"keys":[`)
	for i, k := range keys {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(k.jwk)
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// Named returns p with another key ID.
func (p Public) Named(id string) Public {
	var jwk map[string]any
	if json.Unmarshal(p.jwk, &jwk) == nil {
		jwk["kid"] = id
		if renamed, err := json.Marshal(jwk); err == nil {
			p.ID, p.jwk = id, renamed
		}
	}
	return p
}
