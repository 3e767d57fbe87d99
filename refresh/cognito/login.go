package cognito

import (
	"context"
	"net/http"
	"slices"

	"github.com/tokenlife/tokenlife/refresh"
)

// Login signs a user in with a name and a password. It is for services with a
// sign-in form of their own. It calls InitiateAuth with the flow
// USER_PASSWORD_AUTH, which the app client must allow. With the hosted page of
// the pool, no password passes through the service, and users have more ways to
// sign in.
//
// The error wraps [refresh.ErrDenied] if the user cannot sign in with this name
// and password: one is wrong, the user is not confirmed or must choose a new
// password, or Cognito requires more, such as a second factor, which Login does
// not support. Such an error is a [*refresh.ProviderError], whose Code is the
// name of the exception or of the challenge. Do not show the Code to the user:
// it may reveal which names exist.
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

// Revoke ends the login at the user pool: Cognito then refuses its refresh
// tokens and its access tokens. Other services do not learn of it, and accept
// the access tokens until they expire. The app client must have token
// revocation enabled. Revoke does nothing if t has no refresh token. None of
// its errors wraps [refresh.ErrDenied].
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
