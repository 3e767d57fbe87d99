package login

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
)

// revokeTimeout bounds the revocation of a login that cannot begin.
const revokeTimeout = 3 * time.Second

// redeem exchanges the code for tokens, and checks that they belong to the
// attempt.
func (f *Flow) redeem(ctx context.Context, a attempt, got answer) (refresh.Tokens, error) {
	if got.issuer == "" && f.Client.Discovery != nil {
		m, err := f.Client.Discovery.Metadata(ctx)
		if err != nil {
			return refresh.Tokens{}, fmt.Errorf("login: %w", err)
		}
		if m.IssParameterSupported {
			return refresh.Tokens{}, errIssuer // RFC 9207, section 2.4
		}
	}
	t, err := f.Client.Exchange(ctx, got.code, a.Verifier, f.RedirectURL)
	if err != nil {
		return refresh.Tokens{}, fmt.Errorf("login: %w", err)
	}
	if v, ok := f.Auth.Verifier.(interface{ Expect(raw string) }); ok {
		v.Expect(t.Access) // the provider has given it, and not a client
	}
	if err := f.check(ctx, a, t); err != nil {
		f.revokeUnused(ctx, t)
		return refresh.Tokens{}, err
	}
	return t, nil
}

// revokeUnused revokes the tokens of a login that cannot begin. It has a
// timeout of its own, as the failure may have used up the time of ctx.
func (f *Flow) revokeUnused(ctx context.Context, t refresh.Tokens) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), revokeTimeout)
	defer cancel()
	_ = f.Client.Revoke(ctx, t)
}

// check returns an error unless t are the tokens of the attempt (OpenID Connect
// Core 1.0, section 3.1.3.7).
func (f *Flow) check(ctx context.Context, a attempt, t refresh.Tokens) error {
	if t.ID == "" {
		return errors.New("login: the provider gave no ID token")
	}
	id, err := f.idTokens.Verify(ctx, t.ID)
	if err != nil {
		return unusable("ID", err)
	}
	var claims struct {
		Nonce           string `json:"nonce"`
		AuthorizedParty string `json:"azp"`
	}
	if err := id.Claims(&claims); err != nil {
		return unusable("ID", err)
	}
	client := f.Client.ClientID
	switch {
	case subtle.ConstantTimeCompare([]byte(claims.Nonce), []byte(a.Nonce)) != 1:
		return errors.New("login: the ID token is that of another sign-in")
	case !slices.Contains(id.Audience, client):
		return errors.New("login: the ID token is for another client")
	case claims.AuthorizedParty != "" && claims.AuthorizedParty != client,
		claims.AuthorizedParty == "" && len(id.Audience) > 1:
		return errors.New("login: the ID token was issued to another client")
	}

	access, err := f.Auth.Verifier.Verify(ctx, t.Access)
	if err != nil {
		return unusable("access", err)
	}
	// A Verifier of opaque tokens may not learn their subject and issuer.
	if access.Subject != "" && access.Subject != id.Subject || access.Issuer != "" && access.Issuer != id.Issuer {
		return errors.New("login: the access token is not that of who signed in")
	}
	return nil
}

func unusable(which string, err error) error {
	if errors.Is(err, verify.ErrInvalid) || errors.Is(err, verify.ErrExpired) {
		return fmt.Errorf("login: the provider's %s token is not usable: %w", which, err)
	}
	return fmt.Errorf("login: the provider's %s token could not be checked: %w", which, err)
}
