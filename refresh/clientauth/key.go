package clientauth

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"sync"

	"github.com/tokenlife/tokenlife/refresh/event"
	"github.com/tokenlife/tokenlife/refresh/internal/signer"
)

// What [Key.Audience] can be besides a URL.
const (
	AudienceIssuer   = "issuer"
	AudienceEndpoint = "endpoint"
)

// A Key is the private key of a client.
//
// Use a Key by pointer and do not change its fields after the first use. Its
// methods are safe for concurrent use.
type Key struct {
	// File is a PEM file with the private key: RSA of 2048 bits or more, ECDSA
	// on P-256, P-384 or P-521, or Ed25519; PKCS #8, PKCS #1 or SEC 1, not
	// encrypted. It may hold the certificate as well. It is read again when it
	// changes. While what it holds then cannot be used, as in the middle of
	// being written, the earlier key stays in use, and Observe hears of it.
	File string

	// Signer is the key in place of File: one in memory, or in a device.
	Signer crypto.Signer

	// CertFile is a PEM file with the certificate of the key, followed by those
	// of its authorities. It is needed for mutual TLS, and by providers that
	// find the key of an assertion by its certificate, such as Entra ID. It is
	// read again when it changes. Default: what File holds, or none.
	CertFile string

	// ID is the kid of assertions. Default: the key's thumbprint (RFC 7638), as
	// in [Key.JWKS]; none for a key with a certificate, whose thumbprint is in
	// the x5t#S256 of assertions.
	ID string

	// Algorithm is that of assertions: RS256, RS384, RS512, PS256, PS384,
	// PS512, ES256, ES384, ES512 or EdDSA. Default: the one for the key. For
	// RSA that is RS256, or PS256 at a provider whose metadata name that and
	// not RS256.
	Algorithm string

	// Audience is the aud of assertions. Providers differ: AudienceIssuer is
	// the provider's issuer, which FAPI 2.0 and the successor of RFC 7523 want;
	// AudienceEndpoint is the URL that the assertion is sent to, which Okta and
	// Entra ID want; anything else is taken as it is. Default: AudienceIssuer
	// where the issuer is known, else AudienceEndpoint.
	Audience string

	// Observe hears when the files cannot be used any more while the earlier
	// key stays in use: [event.Misconfigured], once until they can be used
	// again. Default: the hook of the middleware.Auth whose Refresher's Key this
	// is, or none.
	Observe event.Hook

	fallback event.Fallback // where Observe is nil

	mu         sync.Mutex
	stamps     []os.FileInfo // of the files, when they were read
	current    *pair         // nil: none has been read
	told       bool          // that the files cannot be used
	transports map[*http.Transport]*http.Transport
}

// A pair is a private key and its certificates.
type pair struct {
	private crypto.Signer
	chain   []*x509.Certificate // the key's own first; may be empty
}

// ObserveDefault implements [event.Observable]: h hears what the Key tells where
// Observe is nil.
func (k *Key) ObserveDefault(h event.Hook) { k.fallback.Set(h) }

// same reports whether two pairs are the same key with the same certificates.
func (p *pair) same(other *pair) bool {
	public, ok := p.private.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(other.private.Public()) && slices.EqualFunc(p.chain, other.chain, (*x509.Certificate).Equal)
}

// Validate reports a mistake in the configuration, naming the field. It reads
// the files.
func (k *Key) Validate() error {
	switch {
	case k == nil:
		return errors.New("clientauth: the Key is nil")
	case k.File == "" && k.Signer == nil:
		return errors.New("clientauth: Key.File is empty and Key.Signer is nil")
	case k.File != "" && k.Signer != nil:
		return errors.New("clientauth: Key.File and Key.Signer are both set")
	}
	if a := k.Audience; a != "" && a != AudienceIssuer && a != AudienceEndpoint {
		if u, err := url.Parse(a); err != nil || !u.IsAbs() || u.User != nil {
			return fmt.Errorf("clientauth: Key.Audience is neither %q nor %q nor a URL", AudienceIssuer, AudienceEndpoint)
		}
	}
	p, err := k.load()
	if err != nil {
		return err
	}
	if _, err := signer.Use(p.private, k.Algorithm); err != nil {
		return fmt.Errorf("clientauth: Key.Algorithm: %w", err)
	}
	return nil
}

// JWKS returns the public half of the key as a JWKS document (RFC 7517, section
// 5), with the ID and the algorithm of assertions.
func (k *Key) JWKS() ([]byte, error) {
	s, _, err := k.signer(nil)
	if err != nil {
		return nil, err
	}
	if k.ID != "" {
		s.Public = s.Named(k.ID)
	}
	return s.JWKS(), nil
}

// signer returns what signs assertions for a provider that accepts algorithms,
// where that is known.
func (k *Key) signer(accepted []string) (*signer.Key, *pair, error) {
	p, err := k.load()
	if err != nil {
		return nil, nil, err
	}
	s, err := signer.Use(p.private, k.Algorithm)
	if err != nil {
		return nil, nil, fmt.Errorf("clientauth: Key.Algorithm: %w", err)
	}
	if k.Algorithm == "" && s.Algorithm == signer.RS256 &&
		slices.Contains(accepted, signer.PS256) && !slices.Contains(accepted, signer.RS256) {
		if s, err = signer.Use(p.private, signer.PS256); err != nil {
			return nil, nil, fmt.Errorf("clientauth: %w", err)
		}
	}
	return s, p, nil
}
