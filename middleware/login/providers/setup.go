package providers

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/login"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/clientauth"
	"github.com/tokenlife/tokenlife/refresh/discovery"
)

// A Client is who the program is at the provider.
type Client struct {
	// ID is the client's ID. Required.
	ID string

	// Secret is the client's secret, and Key the key in its place where the
	// provider has the public half, or where it has given the key, as Apple
	// does. A client with neither is a public one. SetUp sets Key.Audience where
	// it is empty and the provider wants another than most.
	Secret string
	Key    *clientauth.Key

	// RedirectURL is the URL of [login.Flow.Callback], as registered with the
	// provider. Required.
	RedirectURL string

	// HTTP reaches the provider. Only its Transport is used. Default: a client
	// with [http.DefaultTransport].
	HTTP *http.Client
}

// Parts are what signs users in at a provider and keeps their logins alive. A
// program can change their fields before their first use: Auth.LoginURL and
// Auth.Cookies, for example.
type Parts struct {
	Client   *refresh.OAuth2
	Verifier middleware.Verifier // of the requests' credentials
	Auth     *middleware.Auth    // with the Verifier and the Client
	Flow     *login.Flow         // with the Auth and the Client

	jwts []*verify.JWT // that SetUp has made
}

// Close closes the Flow, the Auth and what verifies tokens. Call it when the
// server has shut down.
func (p *Parts) Close() error {
	errs := []error{p.Flow.Close(), p.Auth.Close()}
	if c, ok := p.Verifier.(interface{ Close() error }); ok {
		errs = append(errs, c.Close())
	}
	for _, j := range p.jwts { // one may be the Verifier; a second Close does nothing
		errs = append(errs, j.Close())
	}
	return errors.Join(errs...)
}

// SetUp returns the parts for a client. It calls nobody: a program can start
// while its provider is down. The error names the field that is missing or
// wrong; [login.Flow.Validate] finds what the program has changed to the worse.
func (p Provider) SetUp(c Client) (*Parts, error) {
	switch {
	case p.Issuer == "":
		return nil, p.wrong("Issuer is empty")
	case namesTenant(p.Issuer):
		return nil, p.wrong("Issuer has the name of a tenant, and has to have its ID: the tokens have another issuer else")
	case c.ID == "":
		return nil, p.wrong("Client.ID is empty")
	case c.RedirectURL == "":
		return nil, p.wrong("Client.RedirectURL is empty")
	case p.secret != nil && c.Key == nil:
		return nil, p.wrong("Client.Key is nil")
	case p.needsSecret && c.Secret == "":
		return nil, p.wrong("Client.Secret is empty, and without it tokens of other clients cannot be told apart")
	case p.NoDiscovery && (p.AuthURL == "" || p.TokenURL == ""):
		return nil, p.wrong("AuthURL or TokenURL is empty, and NoDiscovery is set")
	}
	if c.Key != nil && c.Key.Audience == "" {
		c.Key.Audience = p.assertsTo
	}
	client := &refresh.OAuth2{
		ClientID:        c.ID,
		ClientSecret:    c.Secret,
		Key:             c.Key,
		AuthMethod:      p.AuthMethod,
		TokenURL:        p.TokenURL,
		RevokeURL:       p.RevokeURL,
		IntrospectURL:   p.IntrospectURL,
		UserInfoURL:     p.UserInfoURL,
		TokenParams:     p.TokenParams,
		IDTokenAsAccess: p.Credential == IDToken,
		Client:          c.HTTP,
	}
	switch {
	case p.secret != nil:
		client.Secret, client.ClientSecret, client.Key = p.secret(c), "", nil
	case c.Secret == "" && clientauth.UsesSecret(p.AuthMethod):
		client.AuthMethod = "" // a public client, or one with a key
	}
	if !p.NoDiscovery {
		client.Discovery = &discovery.Provider{Issuer: p.Issuer, Client: c.HTTP}
	}
	parts := &Parts{Client: client, Auth: &middleware.Auth{Refresher: client}}
	parts.Flow = &login.Flow{
		Auth:          parts.Auth,
		Client:        client,
		RedirectURL:   c.RedirectURL,
		Issuer:        p.Issuer,
		AuthURL:       p.AuthURL,
		EndSessionURL: p.EndSessionURL,
		LogoutHint:    p.LogoutHint,
		Scopes:        slices.Clone(p.Scopes),
		AuthParams:    p.AuthParams,

		WithoutIDToken: p.WithoutIDToken,
		WithoutNonce:   p.WithoutNonce,
		WithoutPKCE:    p.WithoutPKCE,
	}
	if p.FormPost {
		parts.Flow.ResponseMode = "form_post"
	}
	if err := p.setUpVerifiers(parts, c); err != nil {
		return nil, err
	}
	parts.Auth.Verifier = parts.Verifier
	// The ID token goes along to the provider's sign-out page. It is in the
	// cookies already where it is the credential.
	parts.Auth.Cookies.KeepID = !p.WithoutIDToken && p.Credential != IDToken && p.LogoutHint != login.NoHint
	return parts, nil
}

func (p Provider) wrong(what string) error {
	return fmt.Errorf("providers: %s: %s", p.Name, what)
}

// namesTenant reports whether an issuer is one of Entra ID with a name, such as
// common or shop.example, for the ID of a tenant.
func namesTenant(issuer string) bool {
	tenant, ok := strings.CutPrefix(issuer, "https://login.microsoftonline.com/")
	tenant, _, _ = strings.Cut(tenant, "/")
	return ok && !isUUID(tenant)
}

func isUUID(s string) bool {
	for i, c := range s {
		hyphen := i == 8 || i == 13 || i == 18 || i == 23
		if hyphen != (c == '-') || !hyphen && !strings.ContainsRune("0123456789abcdefABCDEF", c) {
			return false
		}
	}
	return len(s) == 36
}
