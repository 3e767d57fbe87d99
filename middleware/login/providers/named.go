package providers

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// Names returns the names that [ByName] knows, in alphabetical order.
func Names() []string {
	return []string{
		"adfs", "apple", "auth0", "cognito", "dex", "discord", "entra", "github", "gitlab", "google", "hydra", "keycloak",
		"linkedin", "logto", "okta", "salesforce", "slack", "zitadel",
	}
}

// ByName returns a preset by its Name, for programs that are configured by
// text. issuer is the provider's URL; it may be empty where the preset has one.
// audience is what access tokens are for, and may be empty. The preset of Apple
// has no team: use [Apple].
//
// The error lists the names that there are, or says that the preset needs an
// issuer, or another one.
func ByName(name, issuer, audience string) (Provider, error) {
	p := Provider{Issuer: issuer}
	ok := true
	switch name {
	case "adfs":
		p = ADFS(hostOf(issuer))
	case "apple":
		p = Apple("")
	case "auth0":
		p = Auth0(hostOf(issuer), audience)
	case "cognito":
		m := poolURL.FindStringSubmatch(issuer)
		if ok = m != nil; ok {
			p = Cognito(m[1], m[2])
		}
	case "dex":
		p = Dex(issuer)
	case "discord":
		p = Discord()
	case "entra":
		p = Entra("")
		p.Issuer = issuer
	case "github":
		p = GitHub()
	case "gitlab":
		p = GitLab()
	case "google":
		p = Google()
	case "hydra":
		p = Hydra(issuer)
	case "keycloak":
		p = Keycloak(issuer, audience)
	case "linkedin":
		p = LinkedIn()
	case "logto":
		p = Logto(issuer, audience)
	case "okta":
		p = Okta(issuer, audience)
	case "salesforce":
		p = Salesforce(issuer)
	case "slack":
		p = Slack()
	case "zitadel":
		p = Zitadel(issuer)
	default:
		return Provider{}, fmt.Errorf("providers: there is no preset %.40q: there are %s", name, strings.Join(Names(), ", "))
	}
	switch {
	case p.Issuer == "" || hostOf(p.Issuer) == "":
		return Provider{}, fmt.Errorf("providers: the preset %s needs an issuer: the provider's URL", name)
	case !ok:
		return Provider{}, fmt.Errorf("providers: the preset %s needs another issuer, such as %s", name, Cognito("eu-west-1", "eu-west-1_AbC123").Issuer)
	}
	if issuer != "" && name != "auth0" { // which writes it with a slash
		p.Issuer = issuer
	}
	if audience != "" {
		p.Audience = one(audience)
	}
	return p, nil
}

// poolURL has both forms of the issuer of a user pool.
var poolURL = regexp.MustCompile(`^https://(?:issuer-)?cognito-idp\.([a-z0-9-]+)\.amazonaws\.com/([A-Za-z0-9_-]+)$`)

func hostOf(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil {
		return ""
	}
	return u.Host
}
