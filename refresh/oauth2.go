package refresh

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tokenlife/tokenlife/refresh/clientauth"
	"github.com/tokenlife/tokenlife/refresh/discovery"
	"github.com/tokenlife/tokenlife/refresh/event"
)

// OAuth2 is the [Refresher] and [Revoker] for any provider with an OAuth 2.0
// token endpoint (RFC 6749), such as every OpenID Connect provider. It also
// asks the provider's other endpoints in the client's name.
//
// Each call is one request: never repeated, never redirected, because a
// refresh token sent twice may be taken for a stolen one. An error that is the
// provider's answer wraps a [*ProviderError]; no error repeats anything of the
// answer but a known code.
//
// Use an OAuth2 by pointer and do not change its fields after the first use.
// Its methods are safe for concurrent use.
type OAuth2 struct {
	// ClientID is the client's name at the provider. Required.
	ClientID string

	// ClientSecret is the client's password. A public client has none, and is
	// named in the form instead (RFC 6749, section 3.2.1). Default: none.
	ClientSecret string

	// Secret returns the client's password in place of ClientSecret, where that
	// changes: [clientauth.AppleSecret] is one. It is called for each request,
	// from several goroutines at once. What it returns with an error is not
	// shown; the error is.
	Secret func(ctx context.Context) (string, error)

	// Key is what the client proves its identity with in place of a password:
	// by an assertion signed with it (private_key_jwt) or, if AuthMethod says
	// so, by its certificate. Default: none.
	Key *clientauth.Key

	// AuthMethod is how the client authenticates, by the registered name:
	// client_secret_basic, client_secret_post, private_key_jwt,
	// tls_client_auth, self_signed_tls_client_auth or none. With a certificate
	// and without a Key, the Transport of Client shows it. If the provider
	// refuses one method, no other is tried.
	//
	// Default: private_key_jwt with a Key, none without any credential. A
	// secret goes where the metadata say that it is accepted, in the header
	// before the form, and in the header (RFC 6749, section 2.3.1) if TokenURL
	// is set or the metadata say nothing.
	AuthMethod string

	// TokenURL is the token endpoint and RevokeURL the revocation endpoint (RFC
	// 7009): https, or http on a loopback host. Default: those that Discovery
	// finds. Without a revocation endpoint, Revoke does nothing.
	TokenURL, RevokeURL string

	// PushURL is the endpoint of [OAuth2.Push], IntrospectURL that of
	// [OAuth2.Introspect] and UserInfoURL that of [OAuth2.UserInfo]. Default:
	// those that Discovery finds.
	PushURL, IntrospectURL, UserInfoURL string

	// Discovery finds the endpoints that are not given. It may be nil if
	// TokenURL is set.
	Discovery *discovery.Provider

	// Scopes are asked for at each refresh, which can only narrow what the user
	// granted (RFC 6749, section 6). Default: not sent, and the grant stays as
	// it is.
	Scopes []string

	// TokenParams are sent to the token endpoint with each code and refresh
	// token, for providers that want more than the standard parameters, such as
	// resource (RFC 8707, section 2) or audience. Default: none.
	TokenParams url.Values

	// IDTokenAsAccess puts the ID token in the place of the access token, at
	// the sign-in and at each refresh, for providers whose access tokens are
	// opaque, such as Google and Apple. A provider that returns no ID token at
	// a refresh cannot be used in this way.
	IDTokenAsAccess bool

	// SignedIntrospection makes Introspect ask for an answer that is signed
	// (RFC 9701). Default: for one in JSON (RFC 7662).
	SignedIntrospection bool

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

// ObserveDefault implements [event.Observable]: h hears what the Key tells.
func (o *OAuth2) ObserveDefault(h event.Hook) {
	if o != nil && o.Key != nil {
		o.Key.ObserveDefault(h)
	}
}

// Refresh exchanges the refresh token of old for new tokens (RFC 6749, section
// 6). The result holds the old refresh token where the provider returns no new
// one. It holds the old ID token where the provider returns no new one, or one
// that is not of the same login (OpenID Connect Core 1.0, section 12.2).
//
// The error wraps [ErrDenied] if the provider says that the refresh token is no
// longer good, or if old has none. Every other error is temporary, such as
// wrong credentials of the client, an overload, a proxy's answer, an answer
// that is not clear, or the ID token of another user ([ErrOtherSubject]).
//
// The tokens are empty if there is an error, unless the answer cannot be used
// and has a new refresh token, as one without an ID token with IDTokenAsAccess:
// then the tokens hold the refresh token that is to be asked with next time.
func (o *OAuth2) Refresh(ctx context.Context, old Tokens) (Tokens, error) {
	if old.Refresh == "" {
		return Tokens{}, fmt.Errorf("%w: there is no refresh token", ErrDenied)
	}
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {old.Refresh}}
	if len(o.Scopes) > 0 {
		form.Set("scope", strings.Join(o.Scopes, " "))
	}
	return o.askForTokens(ctx, form, old)
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
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}}
	if verifier != "" {
		form.Set("code_verifier", verifier)
	}
	if redirectURI != "" {
		form.Set("redirect_uri", redirectURI)
	}
	return o.askForTokens(ctx, form, Tokens{})
}

// askForTokens makes one call to the token endpoint. What the answer lacks is
// taken from old.
func (o *OAuth2) askForTokens(ctx context.Context, form url.Values, old Tokens) (Tokens, error) {
	if err := o.Validate(); err != nil {
		return Tokens{}, err
	}
	for name, values := range o.TokenParams {
		form[name] = values
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout())
	defer cancel()
	at, err := o.find(ctx, place{"token_endpoint", "TokenURL", o.TokenURL})
	if err != nil {
		return Tokens{}, err
	}
	got, err := o.post(ctx, at, form, "application/json")
	if err != nil {
		return Tokens{}, err
	}
	members := readAnswer(got)
	if refused := got.refusal(members); refused != nil {
		refused.Denied = refused.final
		return Tokens{}, refused
	}
	return o.tokens(members, old)
}
