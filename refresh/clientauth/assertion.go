package clientauth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"time"

	"github.com/tokenlife/tokenlife/refresh/internal/signer"
)

// AssertionType is the client_assertion_type of assertions (RFC 7523, section
// 2.2).
const AssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// life is how long an assertion can be used. It is sent at once: this is room
// for clocks that differ.
const life = 2 * time.Minute

// A Recipient is who an assertion is for.
type Recipient struct {
	Issuer     string   // the provider's; may be empty
	Endpoint   string   // the URL that the assertion is sent to
	Algorithms []string // those that the provider accepts; empty: not known
}

// Assertion returns a new assertion of a client's identity (RFC 7523, section
// 3). It can be used once, within two minutes.
func (k *Key) Assertion(clientID string, to Recipient) (string, error) {
	s, p, err := k.signer(to.Algorithms)
	if err != nil {
		return "", err
	}
	audience := k.Audience
	switch {
	case audience == "" && to.Issuer != "":
		audience = to.Issuer
	case audience == "", audience == AudienceEndpoint:
		audience = to.Endpoint
	case audience == AudienceIssuer:
		audience = to.Issuer
	}
	if audience == "" {
		return "", errors.New("clientauth: Key.Audience is the issuer, which is not known: set Discovery, or the Audience to its URL")
	}
	header := map[string]any{"typ": "JWT"}
	if len(p.chain) > 0 {
		sum := sha256.Sum256(p.chain[0].Raw)
		header["x5t#S256"] = base64.RawURLEncoding.EncodeToString(sum[:]) // RFC 7515, section 4.1.8
	} else {
		header["kid"] = s.ID
	}
	if k.ID != "" {
		header["kid"] = k.ID
	}
	now := time.Now()
	return s.SignWith(header, map[string]any{
		"iss": clientID, "sub": clientID, "aud": audience, "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(life).Unix(),
	})
}

// AppleSecret returns a function for the Secret of a refresh.OAuth2 at Apple,
// whose client secret is a token that the key signs. ClientID is the Services
// ID, teamID that of the developer account, and the Key has the File that Apple
// has given, a key on P-256, and its ID. Each secret is made anew, for five
// minutes.
func AppleSecret(teamID, clientID string, key *Key) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		switch {
		case teamID == "" || clientID == "":
			return "", errors.New("clientauth: AppleSecret has no team ID or no client ID")
		case key == nil || key.ID == "":
			return "", errors.New("clientauth: AppleSecret has no Key, or one without its ID")
		}
		s, _, err := key.signer(nil)
		if err != nil {
			return "", err
		}
		if s.Algorithm != signer.ES256 {
			return "", errors.New("clientauth: AppleSecret has a Key that is not on P-256")
		}
		now := time.Now()
		return s.SignWith(map[string]any{"kid": key.ID}, map[string]any{
			"iss": teamID, "sub": clientID, "aud": "https://appleid.apple.com",
			"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
		})
	}
}
