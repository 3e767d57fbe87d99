package providers

import (
	"context"
	"net/url"

	"github.com/tokenlife/tokenlife/middleware/login"
	"github.com/tokenlife/tokenlife/refresh/clientauth"
)

// Google is the preset for Google accounts, and for Google Workspace. Google's
// access tokens are opaque, and it issues an ID token at every refresh: the ID
// token is the credential. Google gives a refresh token for
// access_type=offline, and only with the user's consent, which prompt=consent
// asks for at each sign-in. It has no page to sign out at.
//
// For one organization, add "hd" with its domain to AuthParams, and compare the
// claim hd in Check: the parameter alone restricts nobody.
func Google() Provider {
	return Provider{
		Name: "google", Issuer: "https://accounts.google.com",
		Aliases:    []string{"accounts.google.com"},
		Credential: IDToken,
		Scopes:     []string{"openid", "email", "profile"},
		AuthParams: url.Values{"access_type": {"offline"}, "prompt": {"consent"}},
		Algorithms: []string{"RS256"},
	}
}

// Apple is the preset for Sign in with Apple, by the ID of the developer team.
// Key of the [Client] is the key that Apple has given, with its ID: the
// client's secret is a JWT that it signs, for each request anew. The ID token
// is the credential. Apple sends the user's name and e-mail address in the form
// of the callback alone, which arrives by POST from another site.
//
// Not every answer of Apple to a refresh has an ID token. Where there is none,
// a login ends with its ID token, after a day. For longer logins, sign in at
// Apple and issue the tokens in the program: see package refresh/local.
func Apple(teamID string) Provider {
	return Provider{
		Name: "apple", Issuer: "https://appleid.apple.com",
		Credential: IDToken,
		Scopes:     []string{"openid", "email", "name"},
		AuthMethod: clientauth.SecretPost,
		Algorithms: []string{"RS256"},
		FormPost:   true,
		secret: func(c Client) func(context.Context) (string, error) {
			return clientauth.AppleSecret(teamID, c.ID, c.Key)
		},
	}
}

// GitHub is the preset for accounts of github.com. GitHub speaks OAuth 2.0
// without OpenID Connect: there is no ID token and no key set. Its REST API
// says whether a token is one of this client, and GET
// https://api.github.com/user whose it is. [verify.Token.Subject] is the member
// id, a number that stays when the user takes another name.
//
// The tokens of a GitHub App expire after eight hours and are refreshed. Those
// of an OAuth App do not expire, and there is nothing to refresh. GitHub has no
// page to sign out at, and no revocation endpoint of the standard.
//
// For a server of one's own, set Issuer, AuthURL, TokenURL and UserInfoURL,
// such as https://github.shop.example/api/v3/user.
func GitHub() Provider {
	return Provider{
		Name:           "github",
		Issuer:         "https://github.com/login/oauth", // the iss of its callbacks
		NoDiscovery:    true,
		AuthURL:        "https://github.com/login/oauth/authorize",
		TokenURL:       "https://github.com/login/oauth/access_token",
		UserInfoURL:    "https://api.github.com/user",
		Credential:     Introspection,
		Scopes:         []string{"read:user"},
		AuthMethod:     clientauth.SecretPost,
		WithoutIDToken: true,
		ask:            askGitHub,
		needsSecret:    true,
	}
}

// GitLab is the preset for gitlab.com. For a server of one's own, set Issuer to
// its URL. Access tokens are opaque and live for two hours, ID tokens for two
// minutes. The introspection endpoint says for which client an access token is,
// and the userinfo endpoint whose it is; both are asked. A refresh token is
// good once. GitLab has no page to sign out at.
func GitLab() Provider {
	return Provider{
		Name: "gitlab", Issuer: "https://gitlab.com",
		Credential:  Introspection,
		Scopes:      []string{"openid", "profile", "email"},
		Algorithms:  []string{"RS256"},
		GroupsClaim: "groups",
		ask:         askBoth,
	}
}

// LinkedIn is the preset for Sign In with LinkedIn using OpenID Connect. Its ID
// tokens do not have the nonce of the sign-in, and its token endpoint refuses
// PKCE: see WithoutNonce and WithoutPKCE of [Provider] for what is given up.
// Access tokens are opaque and live for sixty days. There is no refresh token
// but for some partners, no revocation, and no page to sign out at.
func LinkedIn() Provider {
	return Provider{
		Name: "linkedin", Issuer: "https://www.linkedin.com/oauth",
		IntrospectURL: "https://www.linkedin.com/oauth/v2/introspectToken", // not in its document
		Credential:    Introspection,
		Scopes:        []string{"openid", "profile", "email"},
		AuthMethod:    clientauth.SecretPost,
		Algorithms:    []string{"RS256"},
		WithoutNonce:  true,
		WithoutPKCE:   true,
		ask:           askBoth,
		needsSecret:   true,
	}
}

// Discord is the preset for Discord. It is used as a provider of OAuth 2.0
// alone: GET /oauth2/@me of its API says for which application a token is, and
// GET /users/@me whose it is. [verify.Token.Subject] is the member id. Access
// tokens live for a week, and a refresh token is good once. There is no page to
// sign out at.
func Discord() Provider {
	return Provider{
		Name: "discord", Issuer: "https://discord.com",
		NoDiscovery:    true,
		AuthURL:        "https://discord.com/oauth2/authorize",
		TokenURL:       "https://discord.com/api/oauth2/token",
		RevokeURL:      "https://discord.com/api/oauth2/token/revoke",
		UserInfoURL:    "https://discord.com/api/users/@me",
		Credential:     Introspection,
		Scopes:         []string{"identify"},
		WithoutIDToken: true,
		ask:            askDiscord,
	}
}

// Slack is the preset for Sign in with Slack. Errors of Slack come with the
// status 200 and "ok":false. Access tokens are opaque and do not expire, unless
// the app has token rotation; ID tokens live for five minutes. There is no
// revocation endpoint of the standard, and no page to sign out at.
//
// Slack does not say for which app a token is: [UserInfo] says what is given
// up.
func Slack() Provider {
	return Provider{
		Name: "slack", Issuer: "https://slack.com",
		Credential: UserInfo,
		Scopes:     []string{"openid", "profile", "email"},
		AuthMethod: clientauth.SecretPost,
		Algorithms: []string{"RS256"},
		ask:        askSlack,
	}
}

// Salesforce is the preset for an organization of Salesforce, by the URL of its
// My Domain, such as https://shop.my.salesforce.com. Access tokens are opaque,
// and the answer does not say for how long they live: introspection does. The
// user's sub is a URL. A refresh token is good until it is revoked.
func Salesforce(issuer string) Provider {
	return Provider{
		Name: "salesforce", Issuer: issuer,
		LogoutHint: login.NoHint, // it knows the session by its cookie
		Credential: Introspection,
		Scopes:     []string{"openid", "profile", "email", "refresh_token"},
		AuthMethod: clientauth.SecretPost,
		Algorithms: []string{"RS256"},
	}
}
