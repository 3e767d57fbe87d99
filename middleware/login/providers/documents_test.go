package providers_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tokenlife/tokenlife/middleware/login/providers"
)

// list returns a member of a document that is an array of strings.
func list(doc map[string]any, member string) (all []string) {
	values, _ := doc[member].([]any)
	for _, v := range values {
		all = append(all, v.(string))
	}
	return all
}

// A preset asks for nothing that the provider's document does not offer.
func TestPresetsFitTheDocuments(t *testing.T) {
	seen := map[string]bool{}
	for _, test := range logins {
		p := test.preset()
		if p.NoDiscovery || seen[test.folder] {
			continue
		}
		seen[test.folder] = true
		doc := readJSON(t, test.folder, "openid-configuration.json")
		check := func(ok bool, what string, args ...any) {
			t.Helper()
			if !ok {
				t.Errorf("%s: "+what, append([]any{test.folder}, args...)...)
			}
		}
		check(p.Issuer == doc["issuer"], "the issuer is %s, and the document's %v", p.Issuer, doc["issuer"])
		if offered := list(doc, "scopes_supported"); test.folder != "cognito" {
			for _, scope := range p.Scopes {
				check(slices.Contains(offered, scope), "the scope %s is not offered", scope)
			}
		}
		if offered := list(doc, "token_endpoint_auth_methods_supported"); p.AuthMethod != "" && len(offered) > 0 {
			check(slices.Contains(offered, p.AuthMethod), "%s is not offered", p.AuthMethod)
		}
		offered := list(doc, "id_token_signing_alg_values_supported")
		check(len(p.Algorithms) == 0 || slices.ContainsFunc(p.Algorithms, func(alg string) bool { return slices.Contains(offered, alg) }),
			"the provider signs with none of %v", p.Algorithms)
		accepted := p.Algorithms
		if len(accepted) == 0 {
			accepted = []string{"RS256", "ES256", "EdDSA"}
		}
		for _, key := range readJSON(t, test.folder, "jwks.json")["keys"].([]any) {
			jwk := key.(map[string]any)
			if alg, ok := jwk["alg"].(string); ok && jwk["use"] != "enc" {
				check(slices.Contains(accepted, alg), "a key is for %s, which is not accepted", alg)
			}
		}
		if p.FormPost {
			check(slices.Contains(list(doc, "response_modes_supported"), "form_post"), "form_post is not offered")
		}
		// LinkedIn alone refuses a code_verifier; other documents only do not
		// speak of PKCE.
		check(p.WithoutPKCE == (test.folder == "linkedin"), "WithoutPKCE is %v", p.WithoutPKCE)
		check(p.WithoutNonce == (test.folder == "linkedin"), "WithoutNonce is %v", p.WithoutNonce)
		switch p.Credential {
		case providers.Introspection:
			check(p.IntrospectURL != "" || doc["introspection_endpoint"] != nil, "there is no introspection endpoint")
		case providers.UserInfo:
			check(p.UserInfoURL != "" || doc["userinfo_endpoint"] != nil, "there is no userinfo endpoint")
		}
	}
	folders, err := filepath.Glob("testdata/*/openid-configuration.json")
	if err != nil || len(folders) < 16 {
		t.Errorf("there are %d documents: %v", len(folders), err)
	}
	for _, name := range folders {
		folder := filepath.Base(filepath.Dir(name))
		if !seen[folder] && folder != "discord" { // whose document is not used
			t.Errorf("no preset is held against testdata/%s", folder)
		}
	}
}

// Who changes a preset changes a copy.
func TestAPresetIsAValueOfItsOwn(t *testing.T) {
	one, other := providers.Google(), providers.Google()
	one.Scopes[0], one.Issuer = "changed", "https://sso.example"
	one.AuthParams.Set("prompt", "none")
	if other.Scopes[0] != "openid" || other.Issuer != "https://accounts.google.com" || other.AuthParams.Get("prompt") != "consent" {
		t.Errorf("a change reaches another: %+v", other)
	}
}

func TestEveryNameHasAPresetAndAPage(t *testing.T) {
	issuers := map[string]string{}
	for _, test := range logins {
		p := test.preset()
		issuers[p.Name] = p.Issuer
	}
	if names := slices.Sorted(maps.Keys(issuers)); !slices.Equal(names, providers.Names()) {
		t.Errorf("the names are %v, and there are logins of %v", providers.Names(), names)
	}
	for _, name := range providers.Names() {
		p, err := providers.ByName(name, issuers[name], "https://api.shop.example")
		if err != nil || p.Name != name || p.Issuer != issuers[name] {
			t.Errorf("%s: %s at %s: %v", name, p.Name, p.Issuer, err)
		}
		if _, err := os.Stat("../../../examples/providers/" + name + ".md"); err != nil {
			t.Error(err)
		}
	}
	for _, test := range []struct{ name, issuer, want string }{
		{"gogle", "", `there is no preset "gogle": there are adfs, apple, auth0`},
		{strings.Repeat("x", 1000), "", "there is no preset"},
		{"okta", "", "the preset okta needs an issuer"},
		{"auth0", "", "the preset auth0 needs an issuer"},
		{"adfs", "fs.shop.example", "the preset adfs needs an issuer"},
		{"cognito", "https://shop.example", "the preset cognito needs"},
		{"cognito", "", "the preset cognito needs"},
	} {
		if _, err := providers.ByName(test.name, test.issuer, ""); err == nil || !strings.Contains(err.Error(), test.want) || len(err.Error()) > 400 {
			t.Errorf("%.20s at %q: %v, want %s", test.name, test.issuer, err, test.want)
		}
	}
}

func TestWhatIsMissingIsAnError(t *testing.T) {
	change := func(p providers.Provider, c func(*providers.Provider)) providers.Provider {
		c(&p)
		return p
	}
	for _, test := range []struct {
		name   string
		p      providers.Provider
		change func(*providers.Client)
		want   string
	}{
		{"no issuer", providers.Okta("", "api://default"), nil, "okta: Issuer is empty"},
		{"no client", providers.Google(), func(c *providers.Client) { c.ID = "" }, "google: Client.ID is empty"},
		{"no redirect URL", providers.Google(), func(c *providers.Client) { c.RedirectURL = "" }, "google: Client.RedirectURL is empty"},
		{"no audience", providers.Keycloak("https://id.shop.example/realms/shop", ""), nil, "keycloak: Audience is empty"},
		{"no audience of Auth0", providers.Auth0("shop.eu.auth0.com", ""), nil, "auth0: Audience is empty"},
		{"no key of Apple", providers.Apple(appleTeam), nil, "apple: Client.Key is nil"},
		{"no secret at GitHub", providers.GitHub(), func(c *providers.Client) { c.Secret = "" }, "github: Client.Secret is empty"},
		{"no secret at LinkedIn", providers.LinkedIn(), func(c *providers.Client) { c.Secret = "" }, "linkedin: Client.Secret is empty"},
		{"a tenant by its name", providers.Entra("common"), nil, "entra: Issuer has the name of a tenant"},
		{"a tenant by its domain", providers.Entra("shop.example"), nil, "entra: Issuer has the name of a tenant"},
		{"a credential of nobody", change(providers.Google(), func(p *providers.Provider) { p.Credential = 7 }), nil, "Credential is none of"},
		{"an ID token where there is none", change(providers.GitHub(), func(p *providers.Provider) { p.Credential = providers.IDToken }), nil, "WithoutIDToken is set"},
		{"no endpoints", change(providers.GitHub(), func(p *providers.Provider) { p.TokenURL = "" }), nil, "TokenURL is empty"},
		{"an algorithm of nobody", change(providers.Google(), func(p *providers.Provider) { p.Algorithms = []string{"HS256"} }), nil, "Algorithms"},
	} {
		c := client("")
		if test.change != nil {
			test.change(&c)
		}
		_, err := test.p.SetUp(c)
		if err == nil || !strings.HasPrefix(err.Error(), "providers: ") || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", test.name, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), clientSecret) {
			t.Errorf("%s: the error shows the secret", test.name)
		}
	}
}
