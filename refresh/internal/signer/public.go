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
	var p Public
	switch key := key.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() < 2048 {
			return p, fmt.Errorf("signer: an RSA key of %d bits; 2048 are the least (RFC 7518, section 3.3)", key.N.BitLen())
		}
		p.Algorithm = RS256
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P256() {
			return p, errors.New("signer: an ECDSA key that is not on P-256")
		}
		p.Algorithm = ES256
	case ed25519.PublicKey:
		p.Algorithm = EdDSA
	default:
		return p, fmt.Errorf("signer: a key of type %T, which is neither RSA nor ECDSA nor Ed25519", key)
	}
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
