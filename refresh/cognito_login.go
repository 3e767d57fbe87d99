package refresh

import (
	"context"
	"net/http"
	"slices"
)

// Login signs a user in with a name and a password, for a sign-in form of one's
// own: InitiateAuth with the flow USER_PASSWORD_AUTH, which the app client must
// allow. The hosted page of the pool sees no password pass through this server,
// and knows more ways to sign in.
//
// The error wraps [ErrDenied] where this name and password sign nobody in: they
// are wrong, the user is not confirmed or must choose a new password, or Cognito
// asks for more, such as a second factor, which Login does not know. It is a
// [*ProviderError] then, and its Code the name of the exception or of the
// challenge; a Code is not for the user, who may be guessing names.
func (c *Cognito) Login(ctx context.Context, username, password string) (Tokens, error) {
	if err := c.Validate(); err != nil {
		return Tokens{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout())
	defer cancel()
	in := map[string]string{"USERNAME": username, "PASSWORD": password}
	if c.ClientSecret != "" {
		in["SECRET_HASH"] = c.secretHash(username)
	}
	out, err := c.initiateFlow(ctx, "USER_PASSWORD_AUTH", in)
	if err != nil {
		return Tokens{}, err
	}
	if out.ChallengeName != "" {
		e := &ProviderError{Status: http.StatusOK, Denied: true}
		if slices.Contains(challenges, out.ChallengeName) {
			e.Code = out.ChallengeName
		}
		return Tokens{}, e
	}
	return out.tokens(Tokens{})
}

// Revoke ends the login at the user pool: no refresh token of it is good any
// more, and its access tokens are refused by Cognito itself. Elsewhere an access
// token is good until it expires, since nobody asks. The app client must have
// token revocation enabled. Without a refresh token there is nothing to do and
// no error. None of its errors wraps [ErrDenied].
func (c *Cognito) Revoke(ctx context.Context, t Tokens) error {
	if err := c.Validate(); err != nil {
		return err
	}
	if t.Refresh == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout())
	defer cancel()
	type input struct {
		ClientID     string `json:"ClientId"`
		ClientSecret string `json:",omitempty"`
		Token        string
	}
	err := c.call(ctx, "RevokeToken", input{c.ClientID, c.ClientSecret, t.Refresh}, nil)
	if e, ok := err.(*ProviderError); ok {
		e.Denied = false // it is about the call, not the login
	}
	return err
}
