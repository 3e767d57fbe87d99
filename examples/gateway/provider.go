package main

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/tokenlife/tokenlife/middleware/login/providers"
	"github.com/tokenlife/tokenlife/refresh/clientauth"
)

// readProvider reads the provider: PROVIDER has defaults for the other
// variables, and what these say wins.
func (c *config) readProvider(e *environment) {
	name := e.text("PROVIDER", "")
	issuer := e.provider("ISSUER", name == "")
	audience := e.list("AUDIENCE", ",")
	c.clientID, c.clientSecret = e.required("CLIENT_ID"), e.getenv("CLIENT_SECRET")
	if strings.Contains(issuer, "?") {
		e.wrong("ISSUER", "must have no query")
	}
	c.provider = providers.Provider{Issuer: issuer}
	if m := poolURL.FindStringSubmatch(issuer); name == "" && m != nil {
		// A pool needs no PROVIDER.
		c.provider = providers.Cognito(m[1], m[2])
		c.provider.Issuer, c.provider.Scopes = issuer, nil
	}
	if name != "" {
		c.readPreset(e, name, issuer, first(audience))
	}
	p := &c.provider
	if len(audience) > 0 {
		p.Audience = audience
	}
	if scopes := e.list("SCOPES", " ,"); len(scopes) > 0 {
		p.Scopes = scopes
	}
	if len(p.Scopes) == 0 {
		p.Scopes = []string{"openid"}
	}
	if !p.WithoutIDToken && !slices.Contains(p.Scopes, "openid") {
		e.wrong("SCOPES", "lacks openid")
	}
	if names := e.list("ALGORITHMS", ","); len(names) > 0 {
		p.Algorithms = names
	}
	for _, a := range p.Algorithms {
		if !slices.Contains(algorithms, a) {
			e.wrong("ALGORITHMS", "must be of "+strings.Join(algorithms, ", "))
		}
	}
	for _, own := range []struct {
		name string
		url  *string
	}{
		{"JWKS_URL", &p.KeysURL},
		{"AUTH_URL", &p.AuthURL},
		{"TOKEN_URL", &p.TokenURL},
		{"REVOKE_URL", &p.RevokeURL},
		{"END_SESSION_URL", &p.EndSessionURL},
		{"INTROSPECT_URL", &p.IntrospectURL},
		{"USERINFO_URL", &p.UserInfoURL},
	} {
		if at := e.provider(own.name, false); at != "" {
			*own.url = at
		}
	}
	p.AuthParams = e.params("AUTH_PARAMS", p.AuthParams)
	p.TokenParams = e.params("TOKEN_PARAMS", p.TokenParams)
	c.readCredential(e)
	c.readClientAuth(e)
	p.Leeway = c.leeway
	// Nothing is fetched for what is given.
	p.NoDiscovery = p.NoDiscovery || p.AuthURL != "" && p.TokenURL != "" && (p.KeysURL != "" || c.isCognito()) &&
		(p.Credential != providers.Introspection || p.IntrospectURL != "") && (p.Credential != providers.UserInfo || p.UserInfoURL != "")
}

// readPreset reads the preset that PROVIDER names.
func (c *config) readPreset(e *environment, name, issuer, audience string) {
	if name == "apple" {
		c.provider = providers.Apple(e.required("APPLE_TEAM_ID"))
		return
	}
	if !slices.Contains(providers.Names(), name) {
		e.wrong("PROVIDER", "must be of "+strings.Join(providers.Names(), ", "))
		return
	}
	p, err := providers.ByName(name, issuer, audience)
	switch {
	case err != nil && issuer == "":
		e.wrong("ISSUER", "is required by PROVIDER="+name)
	case err != nil:
		e.wrong("ISSUER", "is not one of PROVIDER="+name)
	}
	c.provider = p
}

// readCredential reads what authenticates a request.
func (c *config) readCredential(e *environment) {
	p := &c.provider
	kinds := []providers.Credential{providers.AccessToken, providers.Introspection, providers.UserInfo, providers.IDToken}
	name := e.text("CREDENTIAL", p.Credential.String())
	i := slices.IndexFunc(kinds, func(k providers.Credential) bool { return k.String() == name })
	if i < 0 {
		e.wrong("CREDENTIAL", "must be jwt, introspection, userinfo or id_token")
		return
	}
	p.Credential = kinds[i]
	if p.Credential != providers.AccessToken || len(p.Audience) > 0 || p.Name == "cognito" || p.Name == "dex" {
		return
	}
	if p.Name != "" {
		e.wrong("AUDIENCE", "is required by PROVIDER="+p.Name+" with CREDENTIAL=jwt: what its access tokens have as aud")
		return
	}
	e.wrong("AUDIENCE", "is empty, which only the issuer of a Cognito user pool allows, or another CREDENTIAL than jwt")
}

// clientAuth has the registered names of the ways in which a client
// authenticates.
var clientAuth = map[string]string{
	"basic": clientauth.SecretBasic, "post": clientauth.SecretPost, "private_key_jwt": clientauth.PrivateKeyJWT,
	"tls": clientauth.TLS, "none": clientauth.None,
}

// readClientAuth reads how the gateway authenticates at the provider.
func (c *config) readClientAuth(e *environment) {
	if name := e.text("CLIENT_AUTH", ""); name != "" {
		if c.provider.AuthMethod = clientAuth[name]; c.provider.AuthMethod == "" {
			e.wrong("CLIENT_AUTH", "must be basic, post, private_key_jwt, tls or none")
		}
	}
	file := e.text("CLIENT_KEY", "")
	if file == "" {
		if c.provider.Name == "apple" {
			e.wrong("CLIENT_KEY", "is required by PROVIDER=apple")
		}
		return
	}
	if _, err := os.Stat(file); err != nil {
		e.wrong("CLIENT_KEY", "cannot be read: "+err.Error())
	}
	c.clientKey = &clientauth.Key{File: file, Audience: e.text("CLIENT_KEY_AUDIENCE", "")}
	// Apple names the file of a key by its ID.
	if id, ok := strings.CutPrefix(filepath.Base(file), "AuthKey_"); ok {
		c.clientKey.ID = strings.TrimSuffix(id, ".p8")
	}
	switch u, err := url.Parse(c.clientKey.Audience); {
	case slices.Contains([]string{"", clientauth.AudienceIssuer, clientauth.AudienceEndpoint}, c.clientKey.Audience):
	case err != nil || !u.IsAbs() || u.User != nil:
		e.wrong("CLIENT_KEY_AUDIENCE", "must be issuer, endpoint or a URL")
	}
}

// setUp returns the parts for the provider.
func (c *config) setUp() (*providers.Parts, error) {
	parts, err := c.provider.SetUp(providers.Client{
		ID: c.clientID, Secret: c.clientSecret, Key: c.clientKey, RedirectURL: c.publicURL + "/auth/callback",
	})
	if err != nil {
		return nil, fmt.Errorf("gateway: PROVIDER, ISSUER, AUDIENCE, ALGORITHMS or JWKS_URL: %w", err)
	}
	return parts, nil
}

// params reads a query string. Its parameters replace those of preset that have
// the same names.
func (e *environment) params(name string, preset url.Values) url.Values {
	raw := e.text(name, "")
	if raw == "" {
		return preset
	}
	added, err := url.ParseQuery(raw)
	if err != nil {
		e.wrong(name, "is not a query string such as audience=https%3A%2F%2Fapi.example.com")
		return preset
	}
	all := url.Values{}
	for name, values := range preset {
		all[name] = values
	}
	for name, values := range added {
		all[name] = values
	}
	return all
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

// poolURL has both forms of the issuer of an Amazon Cognito user pool.
var poolURL = regexp.MustCompile(`^https://(?:issuer-)?cognito-idp\.([a-z0-9-]+)\.amazonaws\.com/([A-Za-z0-9_-]+)$`)

// isCognito reports whether the provider is a pool whose tokens are checked by
// their client_id.
func (c *config) isCognito() bool {
	return c.provider.Name == "cognito" && len(c.provider.Audience) == 0
}
