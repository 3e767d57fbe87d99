package providers

import (
	"net/url"
	"strings"

	"github.com/tokenlife/tokenlife/middleware/login"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh/clientauth"
)

// Okta is the preset for an authorization server of Okta, by its issuer, such
// as https://shop.okta.com/oauth2/default. Its access tokens are JWTs for
// audience, api://default at the server default. Their subject is the user's
// login name, that of the ID token is another: the program sees the login name.
//
// The organization's own server, https://shop.okta.com, issues access tokens
// that only Okta can read: for it set Credential to [Introspection], and
// Audience to the organization's URL.
func Okta(issuer, audience string) Provider {
	return Provider{
		Name: "okta", Issuer: issuer,
		Audience:    one(audience),
		Scopes:      []string{"openid", "profile", "email", "offline_access"},
		AuthParams:  withoutPrompt("", ""),
		Algorithms:  []string{"RS256"},
		GroupsClaim: "groups",
		assertsTo:   clientauth.AudienceEndpoint,
	}
}

// Auth0 is the preset for a tenant of Auth0, by its domain, such as
// shop.eu.auth0.com, or by a domain of one's own. audience is the identifier of
// an API: without it Auth0 issues access tokens that are not JWTs.
//
// The user signs out at /v2/logout, which every tenant has. For the end session
// endpoint of OpenID Connect, set EndSessionURL to https://DOMAIN/oidc/logout.
func Auth0(domain, audience string) Provider {
	base := "https://" + strings.TrimSuffix(strings.TrimPrefix(domain, "https://"), "/") + "/"
	return Provider{
		Name: "auth0", Issuer: base,
		Audience:      one(audience),
		Scopes:        []string{"openid", "profile", "email", "offline_access"},
		AuthParams:    withoutPrompt("audience", audience),
		Algorithms:    []string{"RS256"},
		EndSessionURL: base + "v2/logout?client_id={client_id}&returnTo={post_logout_redirect_uri}",
	}
}

// Entra is the preset for one tenant of Microsoft Entra ID, by its ID, such as
// 7c9e6679-7425-40de-944b-e07fc1f90ae7. The ID token is the credential: the
// access token of such a sign-in is one for Microsoft Graph, which nobody else
// can verify. The user's sub is another one in each application; oid and tid
// name a user everywhere.
//
// For access tokens of an API of one's own, expose it in the application, let
// it request tokens of version 2, set Credential to [AccessToken], Audience to
// the application's ID, and add the API's scope to Scopes.
func Entra(tenant string) Provider {
	return Provider{
		Name:        "entra",
		Issuer:      "https://login.microsoftonline.com/" + tenant + "/v2.0",
		LogoutHint:  login.NoHint, // which it does not ask for
		Credential:  IDToken,
		Scopes:      []string{"openid", "profile", "email", "offline_access"},
		Algorithms:  []string{"RS256"},
		AuthParams:  withoutPrompt("", ""),
		GroupsClaim: "groups",
		assertsTo:   clientauth.AudienceEndpoint,
	}
}

// ADFS is the preset for Active Directory Federation Services, by its host,
// such as fs.shop.example. The ID token is the credential: access tokens have
// another issuer and no sub.
//
// For access tokens of an API of one's own, set Credential to [AccessToken],
// Audience to the API's identifier, and "resource" in AuthParams and
// TokenParams to the same, and have a claim rule issue sub.
func ADFS(host string) Provider {
	return Provider{
		Name: "adfs", Issuer: "https://" + host + "/adfs",
		LogoutHint:  login.HintInURL, // it documents no other way
		Credential:  IDToken,
		Scopes:      []string{"openid", "profile", "email", "allatclaims"},
		AuthMethod:  clientauth.SecretPost,
		Algorithms:  []string{"RS256"},
		GroupsClaim: "group",
		accessIss:   "http://" + host + "/adfs/services/trust",
	}
}

// Keycloak is the preset for a realm of Keycloak, by its issuer, such as
// https://id.shop.example/realms/shop. A realm issues access tokens for the
// audience account: give the client a mapper that adds audience. The user's sub
// is there with the scope basic, which clients have by default.
func Keycloak(issuer, audience string) Provider {
	return Provider{
		Name: "keycloak", Issuer: issuer,
		Audience:    one(audience),
		Scopes:      []string{"openid", "profile", "email"},
		GroupsClaim: "groups",
	}
}

// Cognito is the preset for a user pool of Amazon Cognito with a hosted domain,
// by its region and ID, such as eu-west-1 and eu-west-1_Sh0pPo0l1. Access
// tokens are checked by client_id and token_use, as they have no aud.
func Cognito(region, poolID string) Provider {
	return Provider{
		Name:        "cognito",
		Issuer:      verify.Cognito(region, poolID, "").URL,
		Scopes:      []string{"openid", "profile", "email"},
		Algorithms:  []string{"RS256"},
		GroupsClaim: "cognito:groups",
		cognito:     [2]string{region, poolID},
	}
}

// Zitadel is the preset for an instance of ZITADEL, by its issuer, such as
// https://shop.eu1.zitadel.cloud. Access tokens are opaque by default, and
// introspection says whose they are. An application whose access tokens are
// JWTs needs no calls: set Credential to [AccessToken].
func Zitadel(issuer string) Provider {
	return Provider{
		Name: "zitadel", Issuer: issuer,
		Credential: Introspection,
		Scopes:     []string{"openid", "profile", "email", "offline_access"},
		AuthParams: withoutPrompt("", ""),
	}
}

// Hydra is the preset for Ory Hydra, by its issuer. Access tokens are opaque by
// default. Introspection is at Hydra's administrative port, which is not for
// everybody; the userinfo endpoint is public, and its answer names the client,
// so that tokens of others are refused.
//
// Where Hydra is told to issue JWTs (strategies.access_token: jwt), set
// Credential to [AccessToken], and Audience. Where the administrative port can
// be reached, set Credential to [Introspection], and IntrospectURL to its
// /admin/oauth2/introspect.
func Hydra(issuer string) Provider {
	return Provider{
		Name: "hydra", Issuer: issuer,
		Credential: UserInfo,
		Scopes:     []string{"openid", "offline_access"},
		AuthParams: withoutPrompt("", ""),
		check:      ofHydraClient,
		assertsTo:  clientauth.AudienceEndpoint,
	}
}

// Dex is the preset for Dex, by its issuer. Access tokens are JWTs for the
// client. Dex has neither revocation nor a page to sign out at, and it keeps
// one refresh token for a user and a client: a second sign-in ends the first.
func Dex(issuer string) Provider {
	return Provider{
		Name: "dex", Issuer: issuer,
		Scopes:      []string{"openid", "profile", "email", "groups", "offline_access"},
		AuthParams:  withoutPrompt("", ""),
		Algorithms:  []string{"RS256"},
		GroupsClaim: "groups",
		forClient:   true,
	}
}

// Logto is the preset for Logto, by its issuer, such as
// https://shop.logto.app/oidc. resource is the identifier of an API: Logto
// issues JWTs for it where it is named at the sign-in, at the token endpoint
// and at each refresh (RFC 8707), and opaque tokens else. Logto signs with
// ES384.
func Logto(issuer, resource string) Provider {
	return Provider{
		Name: "logto", Issuer: issuer,
		LogoutHint:  login.HintInURL, // it takes no form
		Audience:    one(resource),
		Scopes:      []string{"openid", "profile", "email", "offline_access"},
		AuthParams:  params("resource", resource),
		TokenParams: params("resource", resource),
		Algorithms:  []string{"ES384", "RS256"},
	}
}

func one(value string) []string {
	if value == "" {
		return nil
	}
	return []string{value}
}

func params(name, value string) url.Values {
	if value == "" {
		return nil
	}
	return url.Values{name: {value}}
}

// withoutPrompt are the parameters of a sign-in at a provider that gives a
// refresh token for offline_access without prompt=consent, which a login.Flow
// would send. With it, users would have to consent at each sign-in.
func withoutPrompt(name, value string) url.Values {
	v := url.Values{"prompt": nil}
	if value != "" {
		v.Set(name, value)
	}
	return v
}
