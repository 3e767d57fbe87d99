package discovery_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tokenlife/tokenlife/refresh/discovery"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// read returns the metadata of a document for issuer.
func read(t *testing.T, members string) (discovery.Metadata, error) {
	t.Helper()
	s := &source{status: 200, body: `{"issuer":"` + issuer + `","jwks_uri":"` + issuer + `/jwks"` + members + `}`}
	return s.provider().Metadata(t.Context())
}

func TestAnEndpointIsJudgedWhenItIsUsed(t *testing.T) {
	for _, c := range []struct {
		name, endpoint, value, want string // want is empty where it counts as absent
	}{
		{"http", "token_endpoint", `"http://provider.test/token"`, "token_endpoint must be https"},
		{"on this machine", "token_endpoint", `"http://127.0.0.1/token"`, "token_endpoint must be https"},
		{"a path", "authorization_endpoint", `"/authorize"`, "authorization_endpoint is not an absolute URL"},
		{"a URN", "authorization_endpoint", `"urn:kubernetes:programmatic_authorization"`, "authorization_endpoint is not an absolute URL"},
		{"a fragment", "revocation_endpoint", `"https://provider.test/revoke#"`, "revocation_endpoint contains a fragment"},
		{"another scheme", "end_session_endpoint", `"javascript://provider.test/%0aalert(1)"`, "end_session_endpoint must be https"},
		{"a password", "introspection_endpoint", `"https://u:hunter2@provider.test/introspect"`, "introspection_endpoint contains a user name"},
		{"words", "userinfo_endpoint", `"not supported"`, "userinfo_endpoint is not an absolute URL"},
		{"a truth value", "pushed_authorization_request_endpoint", `false`, "pushed_authorization_request_endpoint is not a string"},
		{"a list", "token_endpoint", `["https://provider.test/token"]`, "token_endpoint is not a string"},
		{"null", "token_endpoint", `null`, ""},
		{"nothing", "token_endpoint", `""`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := read(t, `,"`+c.endpoint+`":`+c.value)
			if err != nil || m.JWKSURI != issuer+"/jwks" {
				t.Fatalf("Metadata = %+v, %v: the key set is lost with it", m, err)
			}
			if all := m.TokenEndpoint + m.AuthorizationEndpoint + m.RevocationEndpoint + m.EndSessionEndpoint +
				m.IntrospectionEndpoint + m.UserinfoEndpoint + m.PushedAuthorizationRequestEndpoint; all != "" {
				t.Errorf("%s can be used", all)
			}
			err = m.Unusable(c.endpoint)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), "discovery: "+issuer+": "+c.want)) {
				t.Errorf("the reason is %v, want %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the reason shows a password: %v", err)
			}
		})
	}
}

// Members that other programs write by hand are not always of the standard's
// types.
func TestOneOddMemberCostsThatMemberAlone(t *testing.T) {
	for _, member := range []string{
		`"jwks_uri":7`, `"token_endpoint_auth_methods_supported":"client_secret_post"`, `"token_endpoint_auth_methods_supported":null`,
		`"id_token_signing_alg_values_supported":{"0":"RS256"}`, `"authorization_response_iss_parameter_supported":"true"`,
		`"require_pushed_authorization_requests":0`, `"mtls_endpoint_aliases":[]`, `"mtls_endpoint_aliases":{"token_endpoint":7}`,
		`"code_challenge_methods_supported":[1]`,
	} {
		s := &source{status: 200, body: `{"issuer":"` + issuer + `","token_endpoint":"` + issuer + `/token",` + member + `}`}
		m, err := s.provider().Metadata(t.Context())
		if err != nil || m.TokenEndpoint != issuer+"/token" {
			t.Errorf("%s: Metadata = %+v, %v", member, m, err)
		}
		if len(m.TokenEndpointAuthMethods) != 0 || m.IssParameterSupported || m.RequirePushedAuthorizationRequests || len(m.MTLSEndpointAliases) != 0 {
			t.Errorf("%s is believed: %+v", member, m)
		}
	}
	s := &source{status: 200, body: "\ufeff" + document()}
	if m, err := s.provider().Metadata(t.Context()); err != nil || m.TokenEndpoint == "" {
		t.Errorf("behind a byte order mark: %+v, %v", m, err)
	}
}

func TestMetadataOfAClientWithACertificate(t *testing.T) {
	m, err := read(t, `,"token_endpoint":"`+issuer+`/token","mtls_endpoint_aliases":{
		"token_endpoint":"https://mtls.provider.test/token","revocation_endpoint":"http://mtls.provider.test/revoke"},
		"token_endpoint_auth_methods_supported":["tls_client_auth","private_key_jwt"],
		"token_endpoint_auth_signing_alg_values_supported":["PS256"],
		"pushed_authorization_request_endpoint":"`+issuer+`/par","require_pushed_authorization_requests":true,
		"code_challenge_methods_supported":["S256"]`)
	if err != nil {
		t.Fatal(err)
	}
	if m.TokenEndpoint != issuer+"/token" || m.MTLSEndpointAliases["token_endpoint"] != "https://mtls.provider.test/token" {
		t.Errorf("the token endpoint is %s, its alias %s", m.TokenEndpoint, m.MTLSEndpointAliases["token_endpoint"])
	}
	if err := m.Unusable("mtls_endpoint_aliases.revocation_endpoint"); m.MTLSEndpointAliases["revocation_endpoint"] != "" || err == nil || !strings.Contains(err.Error(), "must be https") {
		t.Errorf("an alias over http: %q, %v", m.MTLSEndpointAliases["revocation_endpoint"], err)
	}
	if len(m.TokenEndpointAuthMethods) != 2 || m.TokenEndpointAuthSigningAlgs[0] != "PS256" || m.CodeChallengeMethods[0] != "S256" ||
		m.PushedAuthorizationRequestEndpoint != issuer+"/par" || !m.RequirePushedAuthorizationRequests {
		t.Errorf("Metadata = %+v", m)
	}
}

func TestAProviderOfOAuthAloneHasItsDocumentElsewhere(t *testing.T) {
	const oidc, oauth = "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"
	for _, c := range []struct {
		name, issuer string
		answers      map[string]int // by path; else 404
		want         string         // of the error; empty: none
		asked        string
	}{
		{"without a path", issuer, map[string]int{oauth: 200}, "", oidc + " " + oauth},
		{"a slash", issuer + "/", map[string]int{oauth: 200}, "", oidc + " " + oauth},
		{"with a path", issuer + "/login/oauth", map[string]int{oauth + "/login/oauth": 200}, "", "/login/oauth" + oidc + " " + oauth + "/login/oauth"},
		{"a path and a slash", issuer + "/a%2Fb/", map[string]int{oauth + "/a%2Fb": 200}, "", "/a%2Fb" + oidc + " " + oauth + "/a%2Fb"},
		{"a page for every path", issuer, map[string]int{oidc: 299, oauth: 200}, "", oidc + " " + oauth},
		{"both", issuer, map[string]int{oidc: 200, oauth: 500}, "", oidc},
		{"neither", issuer, nil, "answered 404", oidc + " " + oauth},
		{"an overload", issuer, map[string]int{oidc: 429, oauth: 200}, "answered 429", oidc},
		{"a failure", issuer, map[string]int{oidc: 503, oauth: 200}, "answered 503", oidc},
		{"a failure there", issuer, map[string]int{oauth: 503}, "answered 503", oidc + " " + oauth},
		{"another issuer's", issuer, map[string]int{oidc: 298, oauth: 200}, "another issuer", oidc},
	} {
		t.Run(c.name, func(t *testing.T) {
			var asked []string
			p := &discovery.Provider{Issuer: c.issuer, Client: refreshtest.Client(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				path := r.URL.EscapedPath()
				asked = append(asked, path)
				switch status := c.answers[path]; status {
				case 0:
					http.NotFound(w, r)
				case 298:
					w.Write([]byte(document("issuer", issuer+"/other")))
				case 299:
					w.Write([]byte("<!doctype html><title>Our site</title>"))
				case 200:
					w.Write([]byte(document("issuer", c.issuer)))
				default:
					w.WriteHeader(status)
				}
			}))}
			m, err := p.Metadata(t.Context())
			if c.want == "" && (err != nil || m.TokenEndpoint != issuer+"/token") || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("Metadata = %+v, %v, want %q", m, err, c.want)
			}
			if got := strings.Join(asked, " "); got != c.asked {
				t.Errorf("asked %s, want %s", got, c.asked)
			}
		})
	}
}
