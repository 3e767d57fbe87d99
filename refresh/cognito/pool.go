package cognito

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/discovery"
	"github.com/tokenlife/tokenlife/refresh/internal/endpoint"
)

// A Pool is the [refresh.Refresher] and [refresh.Revoker] for the users of one
// app client of a user pool.
//
// Use a Pool by pointer and do not change its fields after the first use. Its
// methods are safe for concurrent use.
type Pool struct {
	// Region is the region of the pool, such as eu-central-1. Required, unless
	// Endpoint is set.
	Region string

	// ClientID is the ID of the app client. Required.
	ClientID string

	// ClientSecret is the secret of the app client. Default: none.
	ClientSecret string

	// Endpoint is the API's URL: https, or http on a loopback host. It is for
	// other partitions, private endpoints and emulators. Default:
	// https://cognito-idp.<Region>.amazonaws.com/
	Endpoint string

	// Client reaches the endpoint. Only its Transport is used. Default: a
	// client with [http.DefaultTransport].
	Client *http.Client

	// Timeout bounds one call of a method, to the last byte of the answer.
	// Default 10 s.
	Timeout time.Duration

	initiate atomic.Bool // call InitiateAuth first: it has worked
}

var (
	_ refresh.Refresher = (*Pool)(nil)
	_ refresh.Revoker   = (*Pool)(nil)
)

// Validate reports a mistake in the configuration, naming the field.
func (p *Pool) Validate() error {
	switch {
	case p == nil:
		return errors.New("cognito: the Pool is nil")
	case p.ClientID == "":
		return errors.New("cognito: Pool.ClientID is empty")
	case p.Region == "" && p.Endpoint == "":
		return errors.New("cognito: Pool.Region is empty")
	case !isRegion(p.Region):
		return errors.New("cognito: Pool.Region is not the name of a region")
	case p.Timeout < 0:
		return errors.New("cognito: Pool.Timeout is negative")
	}
	if p.Endpoint != "" {
		if _, err := discovery.ParseURL(p.Endpoint); err != nil {
			return fmt.Errorf("cognito: Pool.Endpoint %w", err)
		}
	}
	return nil
}

// isRegion reports whether name can be a region, and so a part of a host's
// name.
func isRegion(name string) bool {
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// Refresh exchanges the refresh token of old for new tokens. If the pool does
// not rotate refresh tokens, the result holds the old one. Refresh reads the
// user's name and the key of a remembered device from the old access token, if
// there is one.
//
// The error wraps [refresh.ErrDenied] if Cognito answers
//
//   - RefreshTokenReuseException, TokenRevokedException, UserNotFoundException,
//     UserNotConfirmedException or PasswordResetRequiredException
//   - NotAuthorizedException, unless its message names the client or its secret:
//     Cognito reports a wrong secret like that, which must not sign everybody out
//   - ResourceNotFoundException with a message about the device of the login,
//     which the user has forgotten
//
// Every other exception is temporary, such as an overload, a failing trigger or
// a deleted app client. If ClientID is that of another app client, Cognito's
// answer is the same as to a refresh token that is no longer good.
func (p *Pool) Refresh(ctx context.Context, old refresh.Tokens) (refresh.Tokens, error) {
	if err := p.Validate(); err != nil {
		return refresh.Tokens{}, err
	}
	if old.Refresh == "" {
		return refresh.Tokens{}, fmt.Errorf("%w: there is no refresh token", refresh.ErrDenied)
	}
	ctx, cancel := context.WithTimeout(ctx, p.timeout())
	defer cancel()
	if p.initiate.Load() {
		return p.refreshInitiating(ctx, old)
	}
	t, err := p.getTokens(ctx, old)
	if !isUnsupported(err) {
		return t, err
	}
	// An unknown operation has not used up the refresh token.
	if t, err = p.initiateAuth(ctx, old); err == nil {
		p.initiate.Store(true)
	}
	return t, err
}

// refreshInitiating is Refresh if InitiateAuth has worked last. A refusal by
// InitiateAuth does not end a login, because it refuses all logins of an app
// client for which rotation has been enabled meanwhile.
func (p *Pool) refreshInitiating(ctx context.Context, old refresh.Tokens) (refresh.Tokens, error) {
	t, refused := p.initiateAuth(ctx, old)
	if refused == nil || !errors.Is(refused, refresh.ErrDenied) && !mayRotate(refused) {
		return t, refused
	}
	t, err := p.getTokens(ctx, old)
	if isUnsupported(err) {
		return refresh.Tokens{}, refused
	}
	if err == nil || errors.Is(err, refresh.ErrDenied) {
		p.initiate.Store(false)
	}
	return t, err
}

// getTokens calls GetTokensFromRefreshToken, which uses up the refresh token if
// the app client rotates.
func (p *Pool) getTokens(ctx context.Context, old refresh.Tokens) (refresh.Tokens, error) {
	type input struct {
		ClientID     string `json:"ClientId"`
		ClientSecret string `json:",omitempty"`
		DeviceKey    string `json:",omitempty"`
		RefreshToken string
	}
	var out authentication
	in := input{p.ClientID, p.ClientSecret, ownerOf(old).deviceKey, old.Refresh}
	if err := p.call(ctx, "GetTokensFromRefreshToken", in, &out); err != nil {
		return refresh.Tokens{}, err
	}
	return out.tokens(old)
}

// initiateAuth calls InitiateAuth, which does not use up the refresh token.
func (p *Pool) initiateAuth(ctx context.Context, old refresh.Tokens) (refresh.Tokens, error) {
	whose := ownerOf(old)
	in := map[string]string{"REFRESH_TOKEN": old.Refresh}
	if whose.deviceKey != "" {
		in["DEVICE_KEY"] = whose.deviceKey
	}
	if p.ClientSecret != "" {
		if whose.username == "" {
			// No later call can learn the name either.
			return refresh.Tokens{}, fmt.Errorf("%w: no token tells the user's name, which the secret hash is made of", refresh.ErrDenied)
		}
		in["SECRET_HASH"] = p.secretHash(whose.username)
	}
	out, err := p.initiateFlow(ctx, "REFRESH_TOKEN_AUTH", in)
	if err != nil {
		return refresh.Tokens{}, err
	}
	return out.tokens(old)
}

func (p *Pool) timeout() time.Duration {
	if p.Timeout > 0 {
		return p.Timeout
	}
	return endpoint.Timeout
}
