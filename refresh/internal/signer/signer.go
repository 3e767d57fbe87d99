// Package signer signs JWTs with a key of its own (ES256, RFC 7518, section
// 3.4) and describes the key as a JWKS.
package signer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/golang-jwt/jwt/v5"
)

// A Key is a private key. It is never written anywhere: a new one is made at
// each start. Its methods are safe for concurrent use.
type Key struct {
	id      string
	private *ecdsa.PrivateKey
	jwks    []byte
}

// The members of a key that its thumbprint covers, in the order of RFC 7638,
// section 3.2.
type required struct {
	Crv string `json:"crv"`
	Kty string `json:"kty"`
	X   string `json:"x"`
	Y   string `json:"y"`
}

type jwk struct {
	required
	Use string `json:"use"`
	Alg string `json:"alg"`
	Kid string `json:"kid"`
}

// New makes a key on P-256, whose ID is its thumbprint (RFC 7638).
func New() (*Key, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("signer: making a key: %w", err)
	}
	point, err := private.PublicKey.Bytes() // a byte for the form, then X and Y of one length
	if err != nil {
		return nil, fmt.Errorf("signer: making a key: %w", err)
	}
	half := len(point) / 2
	key := required{"P-256", "EC", encode(point[1 : 1+half]), encode(point[1+half:])}
	covered, err := json.Marshal(key)
	if err != nil {
		return nil, fmt.Errorf("signer: describing the key: %w", err)
	}
	sum := sha256.Sum256(covered)
	id := encode(sum[:])
	jwks, err := json.Marshal(map[string][]jwk{"keys": {{key, "sig", "ES256", id}}})
	if err != nil {
		return nil, fmt.Errorf("signer: describing the key: %w", err)
	}
	return &Key{id, private, jwks}, nil
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// Sign makes a JWT of claims, with typ in its header.
func (k *Key) Sign(typ string, claims map[string]any) (string, error) {
	t := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims(claims))
	t.Header["typ"] = typ
	t.Header["kid"] = k.id
	signed, err := t.SignedString(k.private)
	if err != nil {
		return "", fmt.Errorf("signer: signing: %w", err)
	}
	return signed, nil
}

// Verify returns the claims of a JWT that the key has signed, whatever they
// say of time and audience.
func (k *Key) Verify(raw string) (map[string]any, error) {
	claims := jwt.MapClaims{}
	_, err := jwt.NewParser(jwt.WithValidMethods([]string{"ES256"}), jwt.WithoutClaimsValidation()).
		ParseWithClaims(raw, claims, func(*jwt.Token) (any, error) { return k.private.Public(), nil })
	return claims, err
}

// JWKS returns the key's public half as a JWKS document (RFC 7517, section 5).
// The caller must not change it.
func (k *Key) JWKS() []byte { return k.jwks }
