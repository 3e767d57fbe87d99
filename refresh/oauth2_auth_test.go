package refresh_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/clientauth"
	"github.com/tokenlife/tokenlife/refresh/discovery"
	"github.com/tokenlife/tokenlife/refresh/internal/silence"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// A recorder is a provider that keeps what it was sent.
type recorder struct {
	metadata string // members beside the issuer and the endpoints
	answers  int    // the status of the token endpoint; 0: 200

	fetched int
	paths   []string
	forms   []url.Values
	headers []http.Header
}

func (p *recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/.well-known/") {
		p.fetched++
		io.WriteString(w, `{"issuer":"https://provider.test","token_endpoint":"https://provider.test/token",
			"revocation_endpoint":"https://provider.test/revoke","introspection_endpoint":"https://provider.test/introspect",
			"userinfo_endpoint":"https://provider.test/userinfo","pushed_authorization_request_endpoint":"https://provider.test/par"`+p.metadata+`}`)
		return
	}
	body, _ := io.ReadAll(r.Body)
	form, err := url.ParseQuery(string(body))
	if err != nil {
		form = nil
	}
	p.paths, p.forms, p.headers = append(p.paths, r.URL.Path), append(p.forms, form), append(p.headers, r.Header)
	if p.answers != 0 {
		w.WriteHeader(p.answers)
		io.WriteString(w, `{"error":"invalid_client"}`)
		return
	}
	switch r.URL.Path {
	case "/token":
		io.WriteString(w, `{"access_token":"new","refresh_token":"r2"}`)
	case "/par":
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, `{"request_uri":"urn:example:1","expires_in":60}`)
	default:
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"active":true}`)
	}
}

func (p *recorder) client(change func(*refresh.OAuth2)) *refresh.OAuth2 {
	o := &refresh.OAuth2{
		ClientID: "client", Client: refreshtest.Client(p),
		Discovery: &discovery.Provider{Issuer: "https://provider.test", Client: refreshtest.Client(p)},
	}
	change(o)
	return o
}

func signer(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestTheMetadataSayHowAClientAuthenticates(t *testing.T) {
	const supported = `,"token_endpoint_auth_methods_supported":`
	for _, c := range []struct {
		name, metadata string
		change         func(*refresh.OAuth2)
		want           string // basic, post, none, assertion; else words of the error
	}{
		{"nothing said", ``, func(o *refresh.OAuth2) { o.ClientSecret = "s" }, "basic"},
		{"null", supported + `null`, func(o *refresh.OAuth2) { o.ClientSecret = "s" }, "basic"},
		{"both", supported + `["client_secret_post","client_secret_basic"]`, func(o *refresh.OAuth2) { o.ClientSecret = "s" }, "basic"},
		{"the form alone", supported + `["client_secret_post","private_key_jwt"]`, func(o *refresh.OAuth2) { o.ClientSecret = "s" }, "post"},
		{"the form alone, a secret by function", supported + `["client_secret_post"]`, func(o *refresh.OAuth2) {
			o.Secret = func(context.Context) (string, error) { return "s", nil }
		}, "post"},
		{"no secret at all", supported + `["private_key_jwt","none"]`, func(o *refresh.OAuth2) { o.ClientSecret = "s" }, `"private_key_jwt" "none"`},
		{"no secret at all, and named all the same", supported + `["private_key_jwt"]`, func(o *refresh.OAuth2) {
			o.ClientSecret, o.AuthMethod = "s", "client_secret_post"
		}, "post"},
		{"an endpoint of one's own", supported + `["client_secret_post"]`, func(o *refresh.OAuth2) {
			o.ClientSecret, o.TokenURL, o.RevokeURL, o.PushURL, o.IntrospectURL = "s", "https://provider.test/token", "https://provider.test/revoke", "https://provider.test/par", "https://provider.test/introspect"
		}, "basic"},
		{"a public client", supported + `["client_secret_basic"]`, func(*refresh.OAuth2) {}, "none"},
		{"a key", supported + `["client_secret_basic"]`, func(o *refresh.OAuth2) { o.Key = &clientauth.Key{Signer: signer(t)} }, "assertion"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &recorder{metadata: c.metadata}
			client := p.client(c.change)
			for method, call := range map[string]func() error{
				"Refresh": func() error {
					_, err := client.Refresh(t.Context(), refresh.Tokens{Refresh: "r1"})
					return err
				},
				"Exchange": func() error {
					_, err := client.Exchange(t.Context(), "code", "verifier", "https://site.test/")
					return err
				},
				"Revoke": func() error { return client.Revoke(t.Context(), refresh.Tokens{Refresh: "r1"}) },
				"Push": func() error {
					_, _, err := client.Push(t.Context(), url.Values{"state": {"x"}})
					return err
				},
				"Introspect": func() error {
					_, _, err := client.Introspect(t.Context(), "token")
					return err
				},
			} {
				p.forms, p.headers = nil, nil
				err := call()
				if strings.HasPrefix(c.want, `"`) {
					if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "OAuth2.AuthMethod") || len(p.forms) != 0 {
						t.Errorf("%s: error is %v, and %d requests", method, err, len(p.forms))
					}
					continue
				}
				if err != nil || len(p.forms) != 1 {
					t.Fatalf("%s: %v, %d requests, want one", method, err, len(p.forms))
				}
				form, header := p.forms[0], p.headers[0]
				got := "none"
				switch {
				case header.Get("Authorization") != "":
					got = "basic"
				case form.Has("client_secret"):
					got = "post"
				case form.Has("client_assertion"):
					got = "assertion"
				}
				if got != c.want || (got == "basic") == form.Has("client_id") && method != "Push" || header.Get("Accept") != "application/json" {
					t.Errorf("%s: %s with %v, want %s", method, got, form, c.want)
				}
			}
		})
	}
}

// A refresh token and a code go out once, whatever the provider says of the
// client.
func TestARefusedClientIsNotTriedInAnotherWay(t *testing.T) {
	for _, status := range []int{200, 400, 401, 403} {
		p := &recorder{answers: status, metadata: `,"token_endpoint_auth_methods_supported":["client_secret_basic","client_secret_post"]`}
		client := p.client(func(o *refresh.OAuth2) { o.ClientSecret = "s" })
		_, err := client.Refresh(t.Context(), refresh.Tokens{Refresh: "r1"})
		if refused, ok := errors.AsType[*refresh.ProviderError](err); !ok || refused.Code != "invalid_client" || errors.Is(err, refresh.ErrDenied) || len(p.forms) != 1 {
			t.Errorf("%d: %v, %d requests, want one refusal", status, err, len(p.forms))
		}
	}
}

func TestAnEndpointThatIsGivenNeedsNoMetadata(t *testing.T) {
	p := &recorder{}
	client := p.client(func(o *refresh.OAuth2) {
		o.ClientSecret, o.TokenURL = "s", "https://provider.test/token"
	})
	if _, err := client.Refresh(t.Context(), refresh.Tokens{Refresh: "r1"}); err != nil || p.fetched != 0 {
		t.Errorf("%v, %d fetches, want none", err, p.fetched)
	}
}

func TestAnEndpointThatCannotBeUsedIsNamed(t *testing.T) {
	for _, c := range []struct{ metadata, want string }{
		{`,"token_endpoint":"http://provider.test/token"`, "discovery: https://provider.test: token_endpoint must be https; http is for loopback hosts only, and OAuth2.TokenURL is empty"},
		{`,"token_endpoint":null`, "its metadata have no token_endpoint, and OAuth2.TokenURL is empty"},
	} {
		p := &recorder{metadata: c.metadata}
		client := p.client(func(*refresh.OAuth2) {})
		_, err := client.Refresh(t.Context(), refresh.Tokens{Refresh: "r1"})
		if err == nil || !strings.HasSuffix(err.Error(), c.want) || errors.Is(err, refresh.ErrDenied) {
			t.Errorf("error is %v, want %q", err, c.want)
		}
	}
	p := &recorder{metadata: `,"revocation_endpoint":"http://provider.test/revoke"`}
	if err := p.client(func(*refresh.OAuth2) {}).Revoke(t.Context(), refresh.Tokens{Refresh: "r1"}); err == nil || len(p.forms) != 0 {
		t.Errorf("a login that cannot be revoked: %v, %d requests", err, len(p.forms))
	}
}

func TestAnAssertionAuthenticatesEachRequest(t *testing.T) {
	for audience, want := range map[string]func(path string) string{
		"":         func(string) string { return "https://provider.test" },
		"endpoint": func(path string) string { return "https://provider.test" + path },
	} {
		p := &recorder{}
		key := &clientauth.Key{Signer: signer(t), Audience: audience}
		client := p.client(func(o *refresh.OAuth2) { o.Key, o.AuthMethod = key, "private_key_jwt" })
		for range 2 {
			if _, err := client.Refresh(t.Context(), refresh.Tokens{Refresh: "r1"}); err != nil {
				t.Fatal(err)
			}
		}
		if err := client.Revoke(t.Context(), refresh.Tokens{Refresh: "r1"}); err != nil {
			t.Fatal(err)
		}
		ids := make(map[any]bool)
		for i, form := range p.forms {
			claims := jwt.MapClaims{}
			if _, _, err := jwt.NewParser().ParseUnverified(form.Get("client_assertion"), claims); err != nil {
				t.Fatal(err)
			}
			if claims["aud"] != want(p.paths[i]) || claims["sub"] != "client" || ids[claims["jti"]] {
				t.Errorf("%s: the claims are %v", p.paths[i], claims)
			}
			ids[claims["jti"]] = true
			if form.Get("client_id") != "client" || form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" || form.Has("client_secret") {
				t.Errorf("the form is %v", form)
			}
		}
	}
}

// A client that signs with PS256, because the provider wants that, does so at an
// endpoint that is not in the metadata as well.
func TestAnAssertionHasOneAlgorithmEverywhere(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p := &recorder{metadata: `,"token_endpoint_auth_signing_alg_values_supported":["PS256"]`}
	client := p.client(func(o *refresh.OAuth2) {
		o.Key, o.RevokeURL = &clientauth.Key{Signer: private}, "https://provider.test/of-our-own"
	})
	if _, err := client.Refresh(t.Context(), refresh.Tokens{Refresh: "r1"}); err != nil {
		t.Fatal(err)
	}
	if err := client.Revoke(t.Context(), refresh.Tokens{Refresh: "r1"}); err != nil {
		t.Fatal(err)
	}
	for i, form := range p.forms {
		token, _, err := jwt.NewParser().ParseUnverified(form.Get("client_assertion"), jwt.MapClaims{})
		if err != nil || token.Header["alg"] != "PS256" {
			t.Errorf("%s: %v, %v", p.paths[i], token.Header, err)
		}
	}
}

func TestASecretByFunction(t *testing.T) {
	p := &recorder{}
	n := 0
	client := p.client(func(o *refresh.OAuth2) {
		o.AuthMethod = "client_secret_post"
		o.Secret = func(context.Context) (string, error) { n++; return fmt.Sprint("secret-", n), nil }
	})
	for range 2 {
		if _, err := client.Refresh(t.Context(), refresh.Tokens{Refresh: "r1"}); err != nil {
			t.Fatal(err)
		}
	}
	if p.forms[0].Get("client_secret") != "secret-1" || p.forms[1].Get("client_secret") != "secret-2" {
		t.Errorf("the forms are %v", p.forms)
	}
	for _, secret := range []func(context.Context) (string, error){
		func(context.Context) (string, error) { return "", nil },
		func(context.Context) (string, error) {
			return "a secret that nobody may see", errors.New("the vault is sealed")
		},
	} {
		client.Secret = secret
		_, err := client.Refresh(t.Context(), refresh.Tokens{Refresh: "r1"})
		if err == nil || !strings.Contains(err.Error(), "OAuth2.Secret") || errors.Is(err, refresh.ErrDenied) || len(p.forms) != 2 {
			t.Errorf("error is %v, and %d requests", err, len(p.forms))
		}
		silence.Error(t, err, "a secret that nobody may see", "r1")
	}
}

func TestOAuth2ValidatesHowAClientAuthenticates(t *testing.T) {
	key := &clientauth.Key{Signer: signer(t)}
	secret := func(context.Context) (string, error) { return "s", nil }
	for _, c := range []struct {
		name   string
		client refresh.OAuth2
		want   string // words of the error; empty: none
	}{
		{"nothing", refresh.OAuth2{}, ""},
		{"a secret", refresh.OAuth2{ClientSecret: "s"}, ""},
		{"basic", refresh.OAuth2{ClientSecret: "s", AuthMethod: "client_secret_basic"}, ""},
		{"post", refresh.OAuth2{Secret: secret, AuthMethod: "client_secret_post"}, ""},
		{"none", refresh.OAuth2{AuthMethod: "none"}, ""},
		{"a key", refresh.OAuth2{Key: key}, ""},
		{"a certificate", refresh.OAuth2{Key: clientCertificate(t, "a"), AuthMethod: "tls_client_auth"}, ""},
		{"a transport of one's own", refresh.OAuth2{AuthMethod: "tls_client_auth", Client: &http.Client{Transport: answer{}}}, ""},

		{"a word that is none", refresh.OAuth2{ClientSecret: "s", AuthMethod: "basic"}, `OAuth2.AuthMethod is "basic", which is none of client_secret_basic, client_secret_post, private_key_jwt`},
		{"a method of the standard that is not here", refresh.OAuth2{ClientSecret: "s", AuthMethod: "client_secret_jwt"}, "client_secret_jwt"},
		{"two secrets", refresh.OAuth2{ClientSecret: "s", Secret: secret}, "OAuth2.ClientSecret and OAuth2.Secret are both set"},
		{"a secret and a key", refresh.OAuth2{ClientSecret: "s", Key: key}, "OAuth2.Key is set, and a secret as well"},
		{"no secret", refresh.OAuth2{AuthMethod: "client_secret_basic"}, "OAuth2.ClientSecret is empty"},
		{"a secret for nothing", refresh.OAuth2{ClientSecret: "s", AuthMethod: "none"}, "OAuth2.AuthMethod is none, and a secret is set"},
		{"a secret for a certificate", refresh.OAuth2{ClientSecret: "s", AuthMethod: "tls_client_auth"}, "a secret is set"},
		{"no key", refresh.OAuth2{AuthMethod: "private_key_jwt"}, "OAuth2.Key is nil"},
		{"a key for nothing", refresh.OAuth2{Key: key, AuthMethod: "none"}, "OAuth2.Key is set, which it does not use"},
		{"a key that cannot be read", refresh.OAuth2{Key: &clientauth.Key{File: "none.pem"}}, "OAuth2.Key: clientauth: Key.File"},
		{"no certificate", refresh.OAuth2{AuthMethod: "tls_client_auth"}, "there is no certificate"},
		{"no certificate in the transport", refresh.OAuth2{AuthMethod: "tls_client_auth", Client: &http.Client{Transport: new(http.Transport)}}, "there is no certificate"},
		{"a key without a certificate", refresh.OAuth2{Key: key, AuthMethod: "tls_client_auth"}, "Key.CertFile is empty"},
		{"a certificate for a strange transport", refresh.OAuth2{Key: clientCertificate(t, "a"), AuthMethod: "tls_client_auth", Client: &http.Client{Transport: answer{}}}, "refresh_test.answer"},
		{"a parameter that is there already", refresh.OAuth2{TokenParams: url.Values{"client_secret": {"s"}}}, `OAuth2.TokenParams has "client_secret"`},
		{"a scope among the parameters", refresh.OAuth2{TokenParams: url.Values{"scope": {"s"}}}, `OAuth2.TokenParams has "scope"`},
		{"a parameter without a name", refresh.OAuth2{TokenParams: url.Values{"": {"s"}}}, "OAuth2.TokenParams"},
		{"a bad PushURL", refresh.OAuth2{PushURL: "http://provider.test/par"}, "OAuth2.PushURL must be https"},
		{"a bad IntrospectURL", refresh.OAuth2{IntrospectURL: "/introspect"}, "OAuth2.IntrospectURL is not"},
		{"a bad UserInfoURL", refresh.OAuth2{UserInfoURL: "https://u@provider.test"}, "OAuth2.UserInfoURL contains"},
	} {
		c.client.ClientID, c.client.TokenURL = "client", "https://provider.test/token"
		err := c.client.Validate()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), "refresh: OAuth2.") || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: error is %v, want %q", c.name, err, c.want)
		}
	}
}

func TestTokenParamsGoWithCodesAndRefreshTokens(t *testing.T) {
	p := &recorder{}
	params := url.Values{"resource": {"https://api.test/a", "https://api.test/b"}, "audience": {"api"}}
	client := p.client(func(o *refresh.OAuth2) { o.TokenParams = params })
	if _, err := client.Refresh(t.Context(), refresh.Tokens{Refresh: "r1"}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Exchange(t.Context(), "code", "", ""); err != nil {
		t.Fatal(err)
	}
	if err := client.Revoke(t.Context(), refresh.Tokens{Refresh: "r1"}); err != nil {
		t.Fatal(err)
	}
	for i, form := range p.forms {
		got := fmt.Sprint(form["resource"], form["audience"])
		if want := "[https://api.test/a https://api.test/b] [api]"; i < 2 && got != want || i == 2 && got != "[] []" {
			t.Errorf("%s: %s", p.paths[i], got)
		}
	}
	if len(params) != 2 {
		t.Errorf("the field has become %v", params)
	}
}
