package refresh

import (
	"context"
	"errors"
	"net/url"
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
	if t.Refresh == "" && !o.IDTokenAsAccess { // an ID token cannot be revoked
		form = url.Values{"token": {t.Access}, "token_type_hint": {"access_token"}}
	}
	if form.Get("token") == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout())
	defer cancel()
	at, err := o.find(ctx, place{"revocation_endpoint", "RevokeURL", o.RevokeURL})
	switch {
	case errors.Is(err, errNoEndpoint):
		return ErrNoRevocation
	case err != nil:
		return err
	}
	got, err := o.post(ctx, at, form, "application/json")
	if err != nil {
		return err
	}
	if !got.isGood() {
		return got.refusal(readAnswer(got))
	}
	return nil
}
