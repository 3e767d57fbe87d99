package providers

import (
	"context"
	"net/url"
	"time"

	"github.com/tokenlife/tokenlife/middleware/login"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
)

// A Provider says how one provider of logins is to be dealt with. The functions
// of this package return one each, whose fields a program can change before
// [Provider.SetUp]. The zero value is a provider of OpenID Connect without
// peculiarities, as soon as it has an Issuer.
type Provider struct {
	// Name is the provider's name in PROVIDER of the gateway and in errors,
	// such as "google".
	Name string

	// Issuer is the provider's URL, exactly as it writes it. Required.
	Issuer string

	// Aliases are other values of iss under which the provider issues tokens. A
	// token with one of them counts as one of Issuer. Default: none.
	Aliases []string

	// AuthURL, TokenURL, KeysURL, UserInfoURL, IntrospectURL, RevokeURL and
	// EndSessionURL are the provider's endpoints. Default: those that discovery
	// finds, unless NoDiscovery is set.
	AuthURL, TokenURL, KeysURL, UserInfoURL, IntrospectURL, RevokeURL, EndSessionURL string

	// NoDiscovery is set for a provider without a metadata document, or with
	// one that is wrong.
	NoDiscovery bool

	// LogoutHint is how the ID token reaches the provider's sign-out page.
	// Default: [login.HintByPost].
	LogoutHint login.LogoutHint

	// Credential is what authenticates a request. Default: AccessToken.
	Credential Credential

	// Audience lists the names of which an access token must have one in aud,
	// where Credential is AccessToken or Introspection. Default: that of the
	// [Client].
	Audience []string

	// Scopes are asked for at the sign-in. Default: openid.
	Scopes []string

	// AuthParams are added to the authorization request, such as
	// access_type=offline; TokenParams to the requests of the token endpoint,
	// both for a code and for a refresh. Default: none.
	AuthParams, TokenParams url.Values

	// AuthMethod is how the client authenticates, as in [refresh.OAuth2].
	// Default: the one that the provider's metadata offer, the secret in the
	// header before the form.
	AuthMethod string

	// Algorithms are the signatures that are accepted. Default: those of
	// [verify.Issuer].
	Algorithms []string

	// Leeway is the accepted difference between the clocks of the provider and
	// of this machine, as in [verify.Issuer].
	Leeway time.Duration

	// GroupsClaim is the claim with the user's groups, for
	// [verify.Token.Groups]. Default: none.
	GroupsClaim string

	// Check refuses a token by an error, for rules of the program such as one
	// tenant, or one domain of Google Workspace. Default: nil.
	Check func(*verify.Token) error

	// FormPost has the provider answer by a form that the browser posts
	// (response_mode=form_post). Default: by a redirect.
	FormPost bool

	// WithoutNonce is for a provider whose ID tokens do not have the nonce of
	// the sign-in. What is given up: an ID token that was stolen elsewhere is
	// not told apart from that of this sign-in; PKCE and state still bind the
	// code to the browser. Default: false.
	WithoutNonce bool

	// WithoutPKCE is for a provider that refuses PKCE (RFC 7636). What is given
	// up: a code that is stolen on its way can be redeemed by whoever has the
	// client's secret, too. Default: false.
	WithoutPKCE bool

	// WithoutIDToken is for a provider of OAuth 2.0 alone. The user is then who
	// the provider's answer about the access token says. Default: false.
	WithoutIDToken bool

	ask     func(Provider, Client, *refresh.OAuth2) askFunc // nil: as Credential says
	check   func(clientID string) func(*verify.Token) error // beside Check; may be nil
	secret  func(Client) func(context.Context) (string, error)
	cognito [2]string // region and ID of the pool
	// accessIss is the iss of access tokens, where it is another than that of ID
	// tokens.
	accessIss string
	// assertsTo is the Audience of the client's Key.
	assertsTo string
	// forClient is set where access tokens are for the client itself.
	forClient bool
	// needsSecret is set where a public client cannot be told from others.
	needsSecret bool
}
