package login

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
)

// check returns an error unless t are the tokens of the attempt (OpenID Connect
// Core 1.0, section 3.1.3.7).
//
// The two tokens are for two recipients, each of which may know the user by
// another name, and the issuer as well. So their iss and sub are not compared.
// What binds them is that they come in one answer, and at_hash.
//
// The UserInfo endpoint is another matter: it answers this client, and its sub
// must be that of the ID token (section 5.3.2).
func (f *Flow) check(ctx context.Context, a attempt, t refresh.Tokens) error {
	var id *verify.Token
	if !f.WithoutIDToken {
		var err error
		if id, err = f.checkID(ctx, a, t); err != nil {
			return err
		}
	}
	access, err := f.Auth.Verifier.Verify(ctx, t.Access)
	if err != nil {
		return unusable("access", err)
	}
	if id == nil {
		return checkNamed(access, a)
	}
	if _, ok := f.Auth.Verifier.(*verify.UserInfo); ok {
		var info claims
		if err := access.Claims(&info); err != nil {
			return unusable("access", err)
		}
		if sub, err := info.text("sub"); err != nil || sub != "" && sub != id.Subject {
			return errors.New("login: the sub of the UserInfo endpoint is not that of the ID token")
		}
	}
	return nil
}

// checkNamed checks a sign-in without an ID token.
func checkNamed(access *verify.Token, a attempt) error {
	switch {
	case access.Subject == "":
		return errors.New("login: nothing names the user: there is no ID token, and Auth.Verifier returns no Subject for the access token")
	case !a.IsZero():
		return fmt.Errorf("%w: only an ID token says how, and WithoutIDToken is set", errUnmet)
	}
	return nil
}

// checkID returns the ID token if it is that of the attempt.
func (f *Flow) checkID(ctx context.Context, a attempt, t refresh.Tokens) (*verify.Token, error) {
	if t.ID == "" {
		return nil, errors.New("login: the provider gave no ID token")
	}
	id, err := f.idTokens.Verify(ctx, t.ID)
	if err != nil {
		return nil, unusable("ID", err)
	}
	var c claims
	if err := id.Claims(&c); err != nil {
		return nil, unusable("ID", err)
	}
	client := f.Client.ClientID
	party, azpErr := c.text("azp")
	nonce, _ := c.text("nonce")
	switch {
	case !f.WithoutNonce && (a.Nonce == "" || subtle.ConstantTimeCompare([]byte(nonce), []byte(a.Nonce)) != 1):
		return nil, errors.New("login: the ID token is that of another sign-in: its nonce is another, or missing")
	case id.Subject == "":
		return nil, errors.New("login: the ID token has no sub")
	case id.IssuedAt.IsZero():
		return nil, errors.New("login: the ID token has no iat")
	case !slices.Contains(id.Audience, client):
		return nil, fmt.Errorf("login: the ID token is for another client: its aud is %.200q, and Client.ClientID is %.100q", id.Audience, client)
	case azpErr != nil, party != "" && party != client, party == "" && len(id.Audience) > 1:
		return nil, fmt.Errorf("login: the ID token was issued to another client: its azp is %.100q, and Client.ClientID is %.100q", party, client)
	}
	if err := c.checkAccessHash(t); err != nil {
		return nil, err
	}
	// Items 12 and 13.
	if err := a.Demand.Check(c); err != nil {
		return nil, fmt.Errorf("%w: %w", errUnmet, err)
	}
	return id, nil
}

func unusable(which string, err error) error {
	if errors.Is(err, verify.ErrInvalid) || errors.Is(err, verify.ErrExpired) {
		return fmt.Errorf("login: the provider's %s token is not usable: %w", which, err)
	}
	return fmt.Errorf("login: the provider's %s token could not be checked: %w", which, err)
}

// claims are those of an ID token by name. A struct would match names in any
// case of their letters.
type claims map[string]json.RawMessage

// text returns the claim of this name, or "" if it is absent or null. The error
// is for a claim of another type.
func (c claims) text(name string) (string, error) {
	var s string
	if raw, ok := c[name]; ok && json.Unmarshal(raw, &s) != nil {
		return "", fmt.Errorf("login: the ID token's %s is not a string", name)
	}
	return s, nil
}

// checkAccessHash returns an error if the ID token is bound to another access
// token (OpenID Connect Core 1.0, section 3.1.3.8). The claim at_hash is
// optional. It is the left half of the access token's hash, by the hash
// function of the algorithm that signed the ID token.
func (c claims) checkAccessHash(t refresh.Tokens) error {
	if raw, ok := c["at_hash"]; !ok || string(raw) == "null" {
		return nil
	}
	if t.Access == t.ID {
		return nil // the ID token stands in for an access token that is not used
	}
	hash, err := c.text("at_hash")
	if err != nil {
		return err
	}
	alg := algorithmOf(t.ID)
	sum := hashFor(alg, t.Access)
	if sum == nil {
		return fmt.Errorf("login: the ID token has at_hash, and its alg, %.20q, has no known hash function", alg)
	}
	want := base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
	if subtle.ConstantTimeCompare([]byte(strings.TrimRight(hash, "=")), []byte(want)) != 1 {
		return errors.New("login: the ID token is that of another access token: at_hash is another")
	}
	return nil
}

// errUnmet is the error of an ID token that is good, and says that the user has
// not been authenticated as was demanded.
var errUnmet = errors.New("login: the provider has not authenticated the user as was demanded")

// hashFor returns the hash of text for a JWS algorithm; nil: it has none.
func hashFor(alg, text string) []byte {
	switch {
	case alg == "EdDSA", alg == "Ed25519": // of Ed25519 (RFC 8032 section 5.1)
		alg = "512"
	case alg == "ES256K": // RFC 8812
		alg = "256"
	}
	switch {
	case strings.HasSuffix(alg, "256"):
		sum := sha256.Sum256([]byte(text))
		return sum[:]
	case strings.HasSuffix(alg, "384"):
		sum := sha512.Sum384([]byte(text))
		return sum[:]
	case strings.HasSuffix(alg, "512"):
		sum := sha512.Sum512([]byte(text))
		return sum[:]
	}
	return nil
}

// algorithmOf returns the alg of a verified token's header.
func algorithmOf(raw string) string {
	header, _, _ := strings.Cut(raw, ".")
	var h claims
	if decoded, err := base64.RawURLEncoding.DecodeString(header); err != nil || json.Unmarshal(decoded, &h) != nil {
		return ""
	}
	alg, _ := h.text("alg")
	return alg
}
