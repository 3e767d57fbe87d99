package refresh

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/tokenlife/tokenlife/refresh/internal/endpoint"
)

// Cognito is the [Refresher] and [Revoker] for the users of an Amazon Cognito
// user pool, by the pool's own JSON API: it needs no hosted domain and no AWS
// credentials. An [OAuth2] at the domain's /oauth2/token does as well for app
// clients that have one; logins that began there can be refreshed here.
//
// A refresh is one call of GetTokensFromRefreshToken, which works whether or
// not the app client rotates refresh tokens. Where that operation is not to be
// had, as with some emulators, REFRESH_TOKEN_AUTH of InitiateAuth is asked
// instead, and from the next refresh on first. InitiateAuth never spends a
// refresh token; GetTokensFromRefreshToken may, and is never called twice.
//
// Which exceptions end a login is said at [Cognito.Refresh].
//
// Use a Cognito by pointer and do not change its fields after the first use.
// Its methods are safe for concurrent use.
type Cognito struct {
	// Region is the pool's, such as eu-central-1. Required, unless Endpoint is
	// set.
	Region string

	// ClientID is the app client's. Required.
	ClientID string

	// ClientSecret is the app client's, where it has one. Default: none.
	ClientSecret string

	// Endpoint is the API's URL: https, or http on a loopback host. It is for
	// other partitions, private endpoints and emulators. Default:
	// https://cognito-idp.<Region>.amazonaws.com/
	Endpoint string

	// Client reaches the endpoint. Only its Transport is used. Default: a
	// client with [http.DefaultTransport].
	Client *http.Client

	// Timeout bounds one call of a method of Cognito, to the last byte of the
	// answer. Default 10 s.
	Timeout time.Duration

	initiate atomic.Bool // InitiateAuth is what has worked
}

var (
	_ Refresher = (*Cognito)(nil)
	_ Revoker   = (*Cognito)(nil)
)

// Validate reports a mistake in the configuration, naming the field.
func (c *Cognito) Validate() error {
	switch {
	case c == nil:
		return errors.New("refresh: the Cognito is nil")
	case c.ClientID == "":
		return errors.New("refresh: Cognito.ClientID is empty")
	case c.Region == "" && c.Endpoint == "":
		return errors.New("refresh: Cognito.Region is empty")
	case !isRegion(c.Region):
		return errors.New("refresh: Cognito.Region is not the name of a region")
	case c.Timeout < 0:
		return errors.New("refresh: Cognito.Timeout is negative")
	}
	if c.Endpoint != "" {
		if err := endpoint.Check(c.Endpoint); err != nil {
			return fmt.Errorf("refresh: Cognito.Endpoint %w", err)
		}
	}
	return nil
}

// isRegion keeps what is no region's name out of a host's.
func isRegion(name string) bool {
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// Refresh exchanges the refresh token of old for new tokens. A refresh token
// that the pool does not rotate stays. The old access token is read, if it is
// there, for the user's name and the key of a remembered device.
//
// The error wraps [ErrDenied] where Cognito answers RefreshTokenReuseException,
// TokenRevokedException, UserNotFoundException, UserNotConfirmedException,
// PasswordResetRequiredException, or NotAuthorizedException, unless the message
// of the last speaks of the client or its secret: that is how Cognito tells of
// a wrong secret, which must not sign everyone out. So it does where the device
// of the login has been forgotten, by a ResourceNotFoundException that says so. A
// wrong ClientID cannot be told from a dead refresh token where both app clients
// exist. Every other exception is temporary, be it an overload, a failing trigger
// or an app client that is gone.
func (c *Cognito) Refresh(ctx context.Context, old Tokens) (Tokens, error) {
	if err := c.Validate(); err != nil {
		return Tokens{}, err
	}
	if old.Refresh == "" {
		return Tokens{}, fmt.Errorf("%w: there is no refresh token", ErrDenied)
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout())
	defer cancel()
	if c.initiate.Load() {
		return c.refreshInitiating(ctx, old)
	}
	t, err := c.getTokens(ctx, old)
	if !isUnsupported(err) {
		return t, err
	}
	// The operation is not known there, so it has spent nothing.
	if t, err = c.initiateAuth(ctx, old); err == nil {
		c.initiate.Store(true)
	}
	return t, err
}

// refreshInitiating is Refresh where InitiateAuth is what worked last. It is not
// believed in saying that a login is over: it refuses every login of an app
// client on which rotation has been switched on since.
func (c *Cognito) refreshInitiating(ctx context.Context, old Tokens) (Tokens, error) {
	t, refused := c.initiateAuth(ctx, old)
	if refused == nil || !errors.Is(refused, ErrDenied) && !mayRotate(refused) {
		return t, refused
	}
	t, err := c.getTokens(ctx, old)
	if isUnsupported(err) {
		return Tokens{}, refused
	}
	if err == nil || errors.Is(err, ErrDenied) {
		c.initiate.Store(false)
	}
	return t, err
}

// getTokens calls GetTokensFromRefreshToken. With rotation it spends the
// refresh token.
func (c *Cognito) getTokens(ctx context.Context, old Tokens) (Tokens, error) {
	type input struct {
		ClientID     string `json:"ClientId"`
		ClientSecret string `json:",omitempty"`
		DeviceKey    string `json:",omitempty"`
		RefreshToken string
	}
	var out authentication
	in := input{c.ClientID, c.ClientSecret, ownerOf(old).deviceKey, old.Refresh}
	if err := c.call(ctx, "GetTokensFromRefreshToken", in, &out); err != nil {
		return Tokens{}, err
	}
	return out.tokens(old)
}

// initiateAuth calls InitiateAuth with a refresh token, which spends nothing.
func (c *Cognito) initiateAuth(ctx context.Context, old Tokens) (Tokens, error) {
	whose := ownerOf(old)
	in := map[string]string{"REFRESH_TOKEN": old.Refresh}
	if whose.deviceKey != "" {
		in["DEVICE_KEY"] = whose.deviceKey
	}
	if c.ClientSecret != "" {
		if whose.username == "" {
			// Nobody will ever know it again.
			return Tokens{}, fmt.Errorf("%w: no token tells the user's name, which the secret hash is made of", ErrDenied)
		}
		in["SECRET_HASH"] = c.secretHash(whose.username)
	}
	out, err := c.initiateFlow(ctx, "REFRESH_TOKEN_AUTH", in)
	if err != nil {
		return Tokens{}, err
	}
	return out.tokens(old)
}

func (c *Cognito) timeout() time.Duration {
	if c.Timeout > 0 {
		return c.Timeout
	}
	return endpoint.Timeout
}
