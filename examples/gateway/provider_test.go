package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tokenlife/tokenlife/middleware/login/providers"
	"github.com/tokenlife/tokenlife/middleware/verify"
)

// tenants has an issuer for each preset that needs one.
var tenants = map[string]string{
	"adfs":       "https://fs.shop.example/adfs",
	"auth0":      "https://shop.eu.auth0.com/",
	"cognito":    "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbC123",
	"dex":        "https://dex.shop.example",
	"entra":      "https://login.microsoftonline.com/7c9e6679-7425-40de-944b-e07fc1f90ae7/v2.0",
	"hydra":      "https://hydra.shop.example",
	"keycloak":   "https://id.shop.example/realms/shop",
	"logto":      "https://shop.logto.app/oidc",
	"okta":       "https://shop.okta.com/oauth2/default",
	"salesforce": "https://shop.my.salesforce.com",
	"zitadel":    "https://shop.eu1.zitadel.cloud",
}

// withPreset is the least environment for a preset.
func withPreset(t *testing.T, name string) map[string]string {
	t.Helper()
	env := map[string]string{
		"UPSTREAM": "http://127.0.0.1:3000", "LISTEN": "127.0.0.1:0", "PROVIDER": name, "ISSUER": tenants[name],
		"CLIENT_ID": "client", "CLIENT_SECRET": "hunter2",
	}
	switch name {
	case "auth0", "keycloak", "logto", "okta":
		env["AUDIENCE"] = "https://api.shop.example"
	case "apple":
		env["CLIENT_SECRET"], env["APPLE_TEAM_ID"], env["CLIENT_KEY"] = "", "TEAM123456", appleKey(t)
	}
	return env
}

// appleKey writes a key as Apple gives it, and returns the file's name.
func appleKey(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "AuthKey_ABC123DEFG.p8")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func read(t *testing.T, env map[string]string) *config {
	t.Helper()
	c, err := readConfig(func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	if err := c.settlePublicURL(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080}); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEveryPresetStarts(t *testing.T) {
	for _, name := range providers.Names() {
		t.Run(name, func(t *testing.T) {
			c := read(t, withPreset(t, name))
			g, err := newGateway(c, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			defer g.close()
			if got := c.provider; got.Name != name || tenants[name] != "" && got.Issuer != tenants[name] {
				t.Errorf("the provider is %s at %s", got.Name, got.Issuer)
			}
		})
	}
}

// The variables say what the preset would say else.
func TestAVariableWinsOverThePreset(t *testing.T) {
	for _, test := range []struct {
		name string
		env  []string // pairs
		is   func(p providers.Provider) bool
	}{
		{"the preset alone", nil, func(p providers.Provider) bool {
			return p.Issuer == "https://accounts.google.com" && p.Credential == providers.IDToken &&
				p.AuthParams.Encode() == "access_type=offline&prompt=consent" && slices.Equal(p.Scopes, []string{"openid", "email", "profile"})
		}},
		{"ISSUER", []string{"ISSUER", "https://sso.example"}, func(p providers.Provider) bool { return p.Issuer == "https://sso.example" }},
		{"SCOPES", []string{"SCOPES", "openid"}, func(p providers.Provider) bool { return slices.Equal(p.Scopes, []string{"openid"}) }},
		{"AUDIENCE and CREDENTIAL", []string{"AUDIENCE", "a,b", "CREDENTIAL", "jwt"}, func(p providers.Provider) bool {
			return p.Credential == providers.AccessToken && slices.Equal(p.Audience, []string{"a", "b"})
		}},
		{"ALGORITHMS", []string{"ALGORITHMS", "ES256"}, func(p providers.Provider) bool { return slices.Equal(p.Algorithms, []string{"ES256"}) }},
		{"URLs", []string{"TOKEN_URL", "https://a.example/t", "USERINFO_URL", "https://a.example/u"}, func(p providers.Provider) bool {
			return p.TokenURL == "https://a.example/t" && p.UserInfoURL == "https://a.example/u" && !p.NoDiscovery
		}},
		{"one of AUTH_PARAMS, and another beside them", []string{"AUTH_PARAMS", "prompt=select_account&hd=shop.example"}, func(p providers.Provider) bool {
			return p.AuthParams.Encode() == "access_type=offline&hd=shop.example&prompt=select_account"
		}},
		{"TOKEN_PARAMS", []string{"TOKEN_PARAMS", "resource=a"}, func(p providers.Provider) bool { return p.TokenParams.Encode() == "resource=a" }},
		{"CLIENT_AUTH", []string{"CLIENT_AUTH", "post"}, func(p providers.Provider) bool { return p.AuthMethod == "client_secret_post" }},
		{"all URLs, which leave nothing to discovery", []string{
			"TOKEN_URL", "https://a.example/t", "AUTH_URL", "https://a.example/a", "JWKS_URL", "https://a.example/k",
		}, func(p providers.Provider) bool { return p.NoDiscovery }},
	} {
		t.Run(test.name, func(t *testing.T) {
			env := withPreset(t, "google")
			for i := 0; i < len(test.env); i += 2 {
				env[test.env[i]] = test.env[i+1]
			}
			if p := read(t, env).provider; !test.is(p) {
				t.Errorf("the provider is %+v", p)
			}
		})
	}
}

// Assertions are for whom the provider wants them to be, or for whom the
// variable says.
func TestWhomAKeyAssertsTo(t *testing.T) {
	for _, test := range []struct{ preset, variable, want string }{
		{"keycloak", "", ""},
		{"keycloak", "endpoint", "endpoint"},
		{"hydra", "", "endpoint"},
		{"okta", "", "endpoint"},
		{"entra", "", "endpoint"},
		{"hydra", "issuer", "issuer"},
		{"hydra", "https://hydra.shop.example/oauth2/token", "https://hydra.shop.example/oauth2/token"},
	} {
		env := withPreset(t, test.preset)
		env["CLIENT_AUTH"], env["CLIENT_KEY"], env["CLIENT_SECRET"] = "private_key_jwt", appleKey(t), ""
		env["CLIENT_KEY_AUDIENCE"] = test.variable
		g, err := newGateway(read(t, env), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer g.close()
		if got := g.parts.Client.Key.Audience; got != test.want {
			t.Errorf("%s with CLIENT_KEY_AUDIENCE=%s: %q, want %q", test.preset, test.variable, got, test.want)
		}
	}
}

func TestAWrongPresetIsOneLine(t *testing.T) {
	for _, test := range []struct {
		name   string
		preset string
		env    []string // pairs
		want   string   // what the line begins with
	}{
		{"a preset that there is not", "gogle", nil, "PROVIDER must be of adfs, apple, auth0, cognito, dex, discord, entra, github, gitlab, google, hydra, keycloak, linkedin, logto, okta, salesforce, slack, zitadel"},
		{"a preset in capitals", "Google", nil, "PROVIDER must be of adfs, "},
		{"no tenant", "okta", nil, "ISSUER is required by PROVIDER=okta"},
		{"a pool that is none", "cognito", []string{"ISSUER", "https://shop.example"}, "ISSUER is not one of PROVIDER=cognito"},
		{"no audience", "keycloak", []string{"ISSUER", tenants["keycloak"], "AUDIENCE", ""}, "AUDIENCE is required by PROVIDER=keycloak"},
		{"an http tenant", "okta", []string{"ISSUER", "http://shop.okta.com"}, "ISSUER must be https"},
		{"no audience, with JWTs", "hydra", []string{"CREDENTIAL", "jwt"}, "AUDIENCE is required by PROVIDER=hydra with CREDENTIAL=jwt"},
		{"no secret where one tells clients apart", "github", []string{"CLIENT_SECRET", ""}, "PROVIDER, "},
		{"a tenant by its name", "entra", []string{"ISSUER", "https://login.microsoftonline.com/common/v2.0"}, "PROVIDER, "},
		{"Apple without a team", "apple", []string{"APPLE_TEAM_ID", ""}, "APPLE_TEAM_ID is required"},
		{"Apple without a key", "apple", []string{"CLIENT_KEY", ""}, "CLIENT_KEY is required by PROVIDER=apple"},
		{"a key in no file", "google", []string{"CLIENT_KEY", "/nowhere/key.pem"}, "CLIENT_KEY cannot be read"},
		{"an audience of the key that is none", "hydra", []string{"CLIENT_KEY", appleKey(t), "CLIENT_KEY_AUDIENCE", "token"}, "CLIENT_KEY_AUDIENCE must be"},
		{"a credential of nobody", "google", []string{"CREDENTIAL", "password"}, "CREDENTIAL must be"},
		{"a way to authenticate of nobody", "google", []string{"CLIENT_AUTH", "jwt"}, "CLIENT_AUTH must be"},
		{"parameters that are no query", "google", []string{"AUTH_PARAMS", "%zz"}, "AUTH_PARAMS is not"},
		{"a parameter of the gateway's own", "google", []string{"AUTH_PARAMS", "state=hunter2"}, "login: Flow.AuthParams has state"},
		{"scopes without openid", "google", []string{"SCOPES", "email"}, "SCOPES lacks openid"},
	} {
		t.Run(test.name, func(t *testing.T) {
			env := withPreset(t, test.preset)
			for i := 0; i < len(test.env); i += 2 {
				env[test.env[i]] = test.env[i+1]
			}
			if test.name == "no tenant" {
				env["ISSUER"] = ""
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			err := run(ctx, func(name string) string { return env[name] }, io.Discard)
			if err == nil {
				t.Fatal("the gateway starts")
			}
			line := err.Error()
			if !strings.HasPrefix(line, "gateway: "+test.want) || strings.Contains(line, "\n") {
				t.Errorf("the line is %q, want %q", line, test.want)
			}
			if strings.Contains(line, "hunter2") {
				t.Error("the line shows a secret")
			}
		})
	}
}

// What a preset says reaches the provider and the upstream.
func TestSignInWithAPreset(t *testing.T) {
	for _, test := range []struct {
		name string
		env  map[string]string
		want string // the type of what the upstream gets, by its audience
	}{
		{"whose access tokens are JWTs", map[string]string{"PROVIDER": "keycloak"}, "api"},
		{"whose ID tokens are the credential", map[string]string{"PROVIDER": "google", "AUDIENCE": "", "ALGORITHMS": "ES256"}, "client"},
		{"whose ID tokens are the credential, with logins on the server", map[string]string{
			"PROVIDER": "google", "AUDIENCE": "", "ALGORITHMS": "ES256", "SESSIONS": "server",
		}, "client"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSite(t, test.env)
			cookie := s.signIn(t)
			if a := s.do(t, http.MethodGet, "/orders", cookie); a.status != http.StatusOK {
				t.Fatalf("status %d", a.status)
			}
			bearer, _ := strings.CutPrefix(s.lastSeen().Header.Get("Authorization"), "Bearer ")
			var claims struct {
				Audience string `json:"aud"`
			}
			if err := verify.UnverifiedClaims(bearer, &claims); err != nil || claims.Audience != test.want {
				t.Errorf("the upstream gets a token for %q, want %q: %v", claims.Audience, test.want, err)
			}
			if a := s.do(t, http.MethodPost, "/auth/refresh", cookie); a.status != http.StatusNoContent {
				t.Errorf("a refresh: status %d", a.status)
			}
		})
	}
}
