package refresh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/tokenlife/tokenlife/refresh/internal/endpoint"
)

// Revoke ends the login at the provider (RFC 7009). It revokes the refresh
// token, with which many providers also revoke the access tokens of the same
// grant. If t has no refresh token, it revokes the access token. It does
// nothing if t has no token. The error is [ErrNoRevocation] if the provider has
// no revocation endpoint. No error wraps [ErrDenied].
func (o *OAuth2) Revoke(ctx context.Context, t Tokens) error {
	if err := o.Validate(); err != nil {
		return err
	}
	form := url.Values{"token": {t.Refresh}, "token_type_hint": {"refresh_token"}}
	if t.Refresh == "" {
		form = url.Values{"token": {t.Access}, "token_type_hint": {"access_token"}}
	}
	if form.Get("token") == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout())
	defer cancel()
	at := o.RevokeURL
	if at == "" && o.Discovery != nil {
		m, err := o.Discovery.Metadata(ctx)
		if err != nil {
			return fmt.Errorf("refresh: %w", err)
		}
		at = m.RevocationEndpoint
	}
	if at == "" {
		return ErrNoRevocation
	}
	req, err := o.form(ctx, at, form)
	if err != nil {
		return err
	}
	resp, err := endpoint.Client(o.Client).Do(req)
	if err != nil {
		return endpoint.Error(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body) // bounded and in memory already
	if err != nil {
		return endpoint.Error(err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return providerError(resp, body)
	}
	return nil
}

// form returns a request with the client's credentials, in the same place as
// package oauth2 sends them to the token endpoint.
func (o *OAuth2) form(ctx context.Context, at string, form url.Values) (*http.Request, error) {
	basic := o.ClientSecret != "" && !o.SecretInForm
	if !basic {
		form.Set("client_id", o.ClientID)
		if o.ClientSecret != "" {
			form.Set("client_secret", o.ClientSecret)
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, errors.New("refresh: OAuth2.RevokeURL is not a URL")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if basic {
		// Encoded first: RFC 6749, section 2.3.1.
		req.SetBasicAuth(url.QueryEscape(o.ClientID), url.QueryEscape(o.ClientSecret))
	}
	return req, nil
}
