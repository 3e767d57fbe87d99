package cognito

import (
	"context"
	"net/http"
	"slices"

	"github.com/tokenlife/tokenlife/refresh"
)

// Login signs a user in with a name and a password, for a sign-in form of one's
// own: InitiateAuth with the flow USER_PASSWORD_AUTH, which the app client must
// allow. The hosted page of the pool sees no password pass through this server,
// and knows more ways to sign in.
//
// The error wraps [refresh.ErrDenied] where this name and password sign nobody
// in: they are wrong, the user is not confirmed or must choose a new password, or
// Cognito asks for more, such as a second factor, which Login does not support.
// Such an error is a [*refresh.ProviderError]. Its Code is the name of the
// exception or of the challenge. Do not show it to the user, who may be guessing
// names.
func (p *Pool) Login(ctx context.Context, username, password string) (refresh.Tokens, error) {
	if err := p.Validate(); err != nil {
		return refresh.Tokens{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, p.timeout())
	defer cancel()
	in := map[string]string{"USERNAME": username, "PASSWORD": password}
	if p.ClientSecret != "" {
		in["SECRET_HASH"] = p.secretHash(username)
	}
	out, err := p.initiateFlow(ctx, "USER_PASSWORD_AUTH", in)
	if err != nil {
		return refresh.Tokens{}, err
	}
	if out.ChallengeName != "" {
		e := &refresh.ProviderError{Status: http.StatusOK, Denied: true}
		if slices.Contains(challenges, out.ChallengeName) {
			e.Code = out.ChallengeName
		}
		return refresh.Tokens{}, e
	}
	return out.tokens(refresh.Tokens{})
}

// Revoke ends the login at the user pool: no refresh token of it is good any
// more, and its access tokens are refused by Cognito itself. Elsewhere an access
// token is good until it expires, since nobody asks. The app client must have
// token revocation enabled. Without a refresh token there is nothing to do and
// no error. None of its errors wraps [refresh.ErrDenied].
func (p *Pool) Revoke(ctx context.Context, t refresh.Tokens) error {
	if err := p.Validate(); err != nil {
		return err
	}
	if t.Refresh == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, p.timeout())
	defer cancel()
	type input struct {
		ClientID     string `json:"ClientId"`
		ClientSecret string `json:",omitempty"`
		Token        string
	}
	err := p.call(ctx, "RevokeToken", input{p.ClientID, p.ClientSecret, t.Refresh}, nil)
	if e, ok := err.(*refresh.ProviderError); ok {
		e.Denied = false // it is about the call, not the login
	}
	return err
}
