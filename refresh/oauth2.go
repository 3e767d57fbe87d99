package refresh

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/tokenlife/tokenlife/refresh/discovery"
	"github.com/tokenlife/tokenlife/refresh/internal/endpoint"
)

// OAuth2 is the [Refresher] and [Revoker] for any provider with an OAuth 2.0
// token endpoint (RFC 6749), such as every OpenID Connect provider.
//
// Each call is one request: never repeated, never redirected, because a
// refresh token sent twice may be taken for a stolen one. An error that is the
// provider's answer wraps a [*ProviderError]; no error repeats anything of the
// answer but a registered code.
//
// Use an OAuth2 by pointer and do not change its fields after the first use.
// Its methods are safe for concurrent use.
type OAuth2 struct {
	// ClientID is the client's name at the provider. Required.
	ClientID string

	// ClientSecret is the client's password. A public client has none, and is
	// named in the form instead (RFC 6749, section 3.2.1). Default: none.
	ClientSecret string

	// SecretInForm sends the secret in the form (client_secret_post). Default:
	// in the Authorization header (client_secret_basic; RFC 6749, section
	// 2.3.1). If the provider refuses one method, the other is not tried.
	SecretInForm bool

	// TokenURL is the token endpoint and RevokeURL the revocation endpoint (RFC
	// 7009): https, or http on a loopback host. Default: those that Discovery
	// finds. Without a revocation endpoint, Revoke does nothing.
	TokenURL, RevokeURL string

	// Discovery finds the endpoints that are not given. It may be nil if
	// TokenURL is set.
	Discovery *discovery.Provider

	// Scopes are asked for at each refresh, which can only narrow what the user
	// granted (RFC 6749, section 6). Default: not sent, and the grant stays as
	// it is.
	Scopes []string

	// Client reaches the provider. Only its Transport is used. Default: a
	// client with [http.DefaultTransport].
	Client *http.Client

	// Timeout bounds one call, from the discovery of the endpoint to the last
	// byte of the answer. Default 10 s.
	Timeout time.Duration
}

var (
	_ Refresher = (*OAuth2)(nil)
	_ Revoker   = (*OAuth2)(nil)
)

// Validate reports a mistake in the configuration, naming the field.
func (o *OAuth2) Validate() error {
	switch {
	case o == nil:
		return errors.New("refresh: the OAuth2 is nil")
	case o.ClientID == "":
		return errors.New("refresh: OAuth2.ClientID is empty")
	case o.TokenURL == "" && o.Discovery == nil:
		return errors.New("refresh: OAuth2.TokenURL is empty and OAuth2.Discovery is nil")
	case o.Timeout < 0:
		return errors.New("refresh: OAuth2.Timeout is negative")
	}
	if o.TokenURL != "" {
		if _, err := discovery.ParseURL(o.TokenURL); err != nil {
			return fmt.Errorf("refresh: OAuth2.TokenURL %w", err)
		}
	}
	if o.RevokeURL != "" {
		if _, err := discovery.ParseURL(o.RevokeURL); err != nil {
			return fmt.Errorf("refresh: OAuth2.RevokeURL %w", err)
		}
	}
	if o.Discovery != nil {
		if err := o.Discovery.Validate(); err != nil {
			return fmt.Errorf("refresh: OAuth2.Discovery: %w", err)
		}
	}
	return nil
}

// Refresh exchanges the refresh token of old for new tokens (RFC 6749, section
// 6). The result holds the old refresh token and the old ID token where the
// provider returns no new ones.
//
// The error wraps [ErrDenied] if the provider says that the refresh token is no
// longer good, or if old has none. Every other error is temporary, such as
// wrong credentials of the client, an overload, a page of HTML, or an answer
// that is not clear.
func (o *OAuth2) Refresh(ctx context.Context, old Tokens) (Tokens, error) {
	if old.Refresh == "" {
		return Tokens{}, fmt.Errorf("%w: there is no refresh token", ErrDenied)
	}
	return o.retrieve(ctx, old, func(ctx context.Context, conf *oauth2.Config) (*oauth2.Token, error) {
		// The refreshing source of oauth2.Config cannot send a scope. The
		// package for client credentials makes the same request with any
		// grant type.
		grant := clientcredentials.Config{
			ClientID:     conf.ClientID,
			ClientSecret: conf.ClientSecret,
			TokenURL:     conf.Endpoint.TokenURL,
			AuthStyle:    conf.Endpoint.AuthStyle,
			Scopes:       o.Scopes,
			EndpointParams: url.Values{
				"grant_type":    {"refresh_token"},
				"refresh_token": {old.Refresh},
			},
		}
		return grant.Token(ctx)
	})
}

// Exchange redeems the code of an authorization response (RFC 6749, section
// 4.1.3) with its PKCE verifier (RFC 7636, section 4.5) and the redirect URI of
// the authorization request. An empty verifier or redirect URI is not sent.
//
// Errors are those of Refresh. One that wraps [ErrDenied] says that the
// provider refuses the code.
func (o *OAuth2) Exchange(ctx context.Context, code, verifier, redirectURI string) (Tokens, error) {
	if code == "" {
		return Tokens{}, errors.New("refresh: there is no authorization code")
	}
	return o.retrieve(ctx, Tokens{}, func(ctx context.Context, conf *oauth2.Config) (*oauth2.Token, error) {
		conf.RedirectURL = redirectURI
		if verifier == "" {
			return conf.Exchange(ctx, code)
		}
		return conf.Exchange(ctx, code, oauth2.VerifierOption(verifier))
	})
}

// retrieve makes one call to the token endpoint. What the answer lacks is taken
// from old.
func (o *OAuth2) retrieve(
	ctx context.Context, old Tokens, call func(context.Context, *oauth2.Config) (*oauth2.Token, error),
) (Tokens, error) {
	if err := o.Validate(); err != nil {
		return Tokens{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout())
	defer cancel()
	at := o.TokenURL
	if at == "" {
		m, err := o.Discovery.Metadata(ctx)
		if err != nil {
			return Tokens{}, fmt.Errorf("refresh: %w", err)
		}
		if m.TokenEndpoint == "" {
			return Tokens{}, errors.New("refresh: the provider's metadata has no token_endpoint")
		}
		at = m.TokenEndpoint
	}
	// The style is always set. Without it, package oauth2 tries both methods,
	// and sends a refused refresh twice.
	style := oauth2.AuthStyleInHeader
	if o.SecretInForm || o.ClientSecret == "" {
		style = oauth2.AuthStyleInParams
	}
	tok, err := call(context.WithValue(ctx, oauth2.HTTPClient, endpoint.Client(o.Client)), &oauth2.Config{
		ClientID:     o.ClientID,
		ClientSecret: o.ClientSecret,
		Endpoint:     oauth2.Endpoint{TokenURL: at, AuthStyle: style},
	})
	if err != nil {
		return Tokens{}, tokenError(err)
	}
	return complete(old, tok)
}

func (o *OAuth2) timeout() time.Duration {
	if o.Timeout > 0 {
		return o.Timeout
	}
	return endpoint.Timeout
}

// complete returns the tokens of a token response (RFC 6749, section 5.1). What
// the response lacks is taken from old.
func complete(old Tokens, tok *oauth2.Token) (Tokens, error) {
	if tok.TokenType != "" && !strings.EqualFold(tok.TokenType, "Bearer") {
		return Tokens{}, errors.New("refresh: the provider's token_type is not Bearer")
	}
	t := Tokens{
		Access:  tok.AccessToken,
		Refresh: tok.RefreshToken,
		ID:      old.ID,
	}
	if id, ok := tok.Extra("id_token").(string); ok && id != "" {
		t.ID = id
	}
	now := time.Now()
	if left := tok.Expiry.Sub(now); !tok.Expiry.IsZero() && left > 0 && left <= endpoint.MaxLifetime {
		t.Expiry = tok.Expiry
	}
	if t.Refresh == "" {
		t.Refresh = old.Refresh
	}
	// Neither name is standard. Keycloak uses the first, others the second.
	for _, name := range []string{"refresh_expires_in", "refresh_token_expires_in"} {
		if left := endpoint.Seconds(tok.Extra(name)); left > 0 && t.Refresh != "" {
			t.RefreshExpiry = now.Add(left)
			return t, nil
		}
	}
	if t.Refresh == old.Refresh {
		t.RefreshExpiry = old.RefreshExpiry
	}
	return t, nil
}
