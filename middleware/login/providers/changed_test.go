package providers_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/middleware/login/providers"
	"github.com/tokenlife/tokenlife/middleware/verify"
)

// habitsOf returns what the provider of a login does, to be changed.
func habitsOf(t *testing.T, name string) habits {
	t.Helper()
	for _, l := range logins {
		if l.name == name {
			return l.habits
		}
	}
	t.Fatalf("there is no login at %s", name)
	return habits{}
}

// Presets whose fields the program has changed.
func TestChangedPresets(t *testing.T) {
	for _, test := range []struct {
		name   string
		of     string
		preset func() providers.Provider
		change func(h *habits)
		who    string // as the program sees the user; empty: the sign-in fails
		says   string // and its error says
	}{
		{
			"GitLab on a server of one's own", "gitlab",
			func() providers.Provider {
				p := providers.GitLab()
				p.Issuer = "https://gitlab.shop.example"
				return p
			},
			func(h *habits) { h.moved = [2]string{"https://gitlab.com", "https://gitlab.shop.example"} },
			"https://gitlab.shop.example 1042", "",
		},
		{
			"GitHub on a server of one's own", "github",
			func() providers.Provider {
				p := providers.GitHub()
				p.Issuer = "https://github.shop.example/login/oauth"
				p.AuthURL, p.TokenURL = p.Issuer+"/authorize", p.Issuer+"/access_token"
				p.UserInfoURL = "https://github.shop.example/api/v3/user"
				return p
			},
			func(h *habits) {
				const issuer = "https://github.shop.example/login/oauth"
				h.endpoints = map[string]string{
					"issuer": issuer, "authorization_endpoint": issuer + "/authorize", "token_endpoint": issuer + "/access_token",
					"userinfo_endpoint": "https://github.shop.example/api/v3/user",
				}
			},
			"https://github.shop.example/login/oauth 583231", "",
		},
		{
			"access tokens of AD FS, with a rule that issues sub", "adfs",
			func() providers.Provider {
				p := providers.ADFS("fs.shop.example")
				p.Credential, p.Audience = providers.AccessToken, []string{"https://api.shop.example"}
				p.AuthParams = map[string][]string{"resource": {"https://api.shop.example"}}
				return p
			},
			func(h *habits) {
				h.authorize = map[string]string{"resource": "https://api.shop.example"}
				h.answer = jwtFor("https://api.shop.example", func(_ *session, c map[string]any) {
					c["iss"], c["sub"] = "http://fs.shop.example/adfs/services/trust", "ann@shop.example"
				})
			},
			"https://fs.shop.example/adfs ann@shop.example", "",
		},
		{
			"access tokens of Entra ID for an API of one's own", "entra",
			func() providers.Provider {
				p := providers.Entra("7c9e6679-7425-40de-944b-e07fc1f90ae7")
				p.Credential, p.Audience = providers.AccessToken, []string{clientID}
				p.Scopes = append(p.Scopes, "api://"+clientID+"/orders")
				return p
			},
			func(h *habits) {
				h.answer = jwtFor(clientID, func(_ *session, c map[string]any) { c["sub"], c["scp"], c["ver"] = "for-the-api", "orders", "2.0" })
			},
			"https://login.microsoftonline.com/7c9e6679-7425-40de-944b-e07fc1f90ae7/v2.0 for-the-api", "",
		},
		{
			"access tokens of Entra ID of version 1", "entra",
			func() providers.Provider {
				p := providers.Entra("7c9e6679-7425-40de-944b-e07fc1f90ae7")
				p.Credential, p.Audience = providers.AccessToken, []string{"api://shop"}
				return p
			},
			func(h *habits) {
				h.answer = jwtFor("api://shop", func(_ *session, c map[string]any) {
					c["iss"] = "https://sts.windows.net/7c9e6679-7425-40de-944b-e07fc1f90ae7/"
				})
			},
			"", "sts.windows.net",
		},
		{
			"Keycloak without a mapper for the audience", "keycloak",
			func() providers.Provider {
				return providers.Keycloak("https://id.shop.example/realms/shop", "https://api.shop.example")
			},
			func(h *habits) { h.answer = jwtFor("account") },
			"", `"account"`,
		},
		{
			"Logto without a resource, whose tokens are opaque", "logto",
			func() providers.Provider {
				p := providers.Logto("https://shop.logto.app/oidc", "https://api.shop.example")
				p.TokenParams = nil
				return p
			},
			func(h *habits) { h.token, h.answer = nil, nil },
			"", "access token",
		},
		{
			"Google for one organization, and a user of another", "google",
			func() providers.Provider {
				p := providers.Google()
				p.Check = func(t *verify.Token) error {
					var claims struct {
						Domain string `json:"hd"`
					}
					if err := t.Claims(&claims); err != nil || claims.Domain != "shop.example" {
						return errors.New("not of this organization")
					}
					return nil
				}
				return p
			},
			func(h *habits) {
				h.id = func(_ *session, claims map[string]any) { claims["hd"] = "other.example" }
			},
			"", "not of this organization",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := habitsOf(t, test.of)
				test.change(&h)
				f := newFake(t, h)
				v := visit(t, test.preset(), f)
				if test.who == "" {
					resp := v.signIn(t)
					if resp.StatusCode/100 != 5 && resp.StatusCode/100 != 4 || v.signedIn(t) != "" {
						t.Errorf("the sign-in ends with %d", resp.StatusCode)
					}
					said := ""
					for _, err := range v.failures() {
						said += err.Error() + "\n"
					}
					if !strings.Contains(said, test.says) {
						t.Errorf("the log does not say %q: %s", test.says, said)
					}
					return
				}
				v.mustSignIn(t)
				for range 2 {
					if got := v.signedIn(t); got != test.who {
						t.Errorf("the program sees %q, want %q: %v", got, test.who, v.failures())
					}
					time.Sleep(f.life)
				}
			})
		})
	}
}
