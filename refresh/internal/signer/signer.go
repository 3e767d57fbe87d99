// Package signer signs JWTs (RFC 7518 section 3, RFC 8037) and describes the
// keys that verify them as a JWKS.
package signer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"

	"github.com/golang-jwt/jwt/v5"
)

// The algorithms, by their names in a JWT's header.
const (
	RS256 = "RS256"
	RS384 = "RS384"
	RS512 = "RS512"
	PS256 = "PS256"
	PS384 = "PS384"
	PS512 = "PS512"
	ES256 = "ES256"
	ES384 = "ES384"
	ES512 = "ES512"
	EdDSA = "EdDSA"
)

// A Key is a private key in memory or in a device. Its methods are safe for
// concurrent use if those of the crypto.Signer are.
type Key struct {
	Public

	private crypto.Signer
}

// New makes a key for ES256.
func New() (*Key, error) {
	private, err := Generate(ES256)
	if err != nil {
		return nil, err
	}
	return From(private)
}

// Generate makes a private key for an algorithm.
func Generate(alg string) (private crypto.Signer, err error) {
	switch alg {
	case RS256:
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	case ES256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case EdDSA:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	default:
		return nil, fmt.Errorf("signer: the algorithm %.20q is none of RS256, ES256 and EdDSA", alg)
	}
	if err != nil {
		return nil, fmt.Errorf("signer: making a key: %w", err)
	}
	return private, nil
}

// From makes a Key of a private key: RSA of 2048 bits or more, P-256 or
// Ed25519.
func From(private crypto.Signer) (*Key, error) {
	if private == nil {
		return nil, errors.New("signer: there is no key")
	}
	public, err := Describe(private.Public())
	if err != nil {
		return nil, err
	}
	return &Key{public, private}, nil
}

// Use makes a Key of a private key, for one algorithm. It also takes keys on
// P-384 and P-521. An empty algorithm is the default one for the key: RS256 for
// RSA.
func Use(private crypto.Signer, alg string) (*Key, error) {
	if private == nil {
		return nil, errors.New("signer: there is no key")
	}
	own, err := algorithmOf(private.Public())
	if err != nil {
		return nil, err
	}
	if alg == "" {
		alg = own
	}
	if alg != own && (own != RS256 || !slices.Contains([]string{RS384, RS512, PS256, PS384, PS512}, alg)) {
		return nil, fmt.Errorf("signer: the algorithm %.20q is not one for this key, whose own is %s", alg, own)
	}
	public, err := describe(private.Public(), alg)
	if err != nil {
		return nil, err
	}
	return &Key{public, private}, nil
}

// Sign makes a JWT of claims, with typ in its header.
func (k *Key) Sign(typ string, claims map[string]any) (string, error) {
	return k.SignWith(map[string]any{"typ": typ, "kid": k.ID}, claims)
}

// SignWith makes a JWT of claims, with a header that alg is added to.
func (k *Key) SignWith(header, claims map[string]any) (string, error) {
	t := jwt.NewWithClaims(jwt.GetSigningMethod(k.Algorithm), jwt.MapClaims(claims))
	delete(t.Header, "typ") // the library's own
	maps.Copy(t.Header, header)
	text, err := t.SigningString()
	if err != nil {
		return "", fmt.Errorf("signer: signing: %w", err)
	}
	// The library signs only with keys in this process's memory.
	signature, err := k.signature([]byte(text))
	if err != nil {
		return "", fmt.Errorf("signer: signing: %w", err)
	}
	return text + "." + encode(signature), nil
}

func (k *Key) signature(text []byte) ([]byte, error) {
	if k.Algorithm == EdDSA {
		return k.private.Sign(rand.Reader, text, crypto.Hash(0))
	}
	hash := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}[k.Algorithm[2:]]
	h := hash.New()
	h.Write(text)
	var options crypto.SignerOpts = hash
	if k.Algorithm[0] == 'P' {
		options = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash} // RFC 7518, section 3.5
	}
	signature, err := k.private.Sign(rand.Reader, h.Sum(nil), options)
	if err != nil || k.Algorithm[0] != 'E' {
		return signature, err
	}
	// RFC 7518, section 3.4: R and S, each as long as the curve's numbers.
	size := (k.private.Public().(*ecdsa.PublicKey).Curve.Params().BitSize + 7) / 8
	var pair struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(signature, &pair); err != nil || len(rest) > 0 ||
		pair.R.Sign() < 0 || pair.S.Sign() < 0 || pair.R.BitLen() > 8*size || pair.S.BitLen() > 8*size {
		return nil, errors.New("the key's signature is not one of ECDSA on its curve")
	}
	both := make([]byte, 2*size)
	pair.R.FillBytes(both[:size])
	pair.S.FillBytes(both[size:])
	return both, nil
}

// Verify returns the claims of a JWT that the key has signed. It checks neither
// times nor audience.
func (k *Key) Verify(raw string) (map[string]any, error) {
	claims := jwt.MapClaims{}
	_, err := jwt.NewParser(jwt.WithValidMethods([]string{k.Algorithm}), jwt.WithoutClaimsValidation()).
		ParseWithClaims(raw, claims, func(*jwt.Token) (any, error) { return k.private.Public(), nil })
	return claims, err
}

// JWKS returns the key's public half as a JWKS document (RFC 7517, section 5).
func (k *Key) JWKS() []byte { return Set(k.Public) }
