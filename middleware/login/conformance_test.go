package login_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/login"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/discovery"
)

const (
	suiteIssuer = "https://suite.test/test/a/shop/"
	suiteSecret = "secret-of-the-client-at-the-suite"
)

// suiteKeys are the two RSA keys and the elliptic one of the suite, made once.
var suiteKeys = sync.OnceValue(func() (k struct {
	first, second *rsa.PrivateKey
	elliptic      *ecdsa.PrivateKey
},
) {
	var errs [3]error
	k.first, errs[0] = rsa.GenerateKey(rand.Reader, 2048)
	k.second, errs[1] = rsa.GenerateKey(rand.Reader, 2048)
	k.elliptic, errs[2] = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err := errors.Join(errs[:]...); err != nil {
		panic(err)
	}
	return k
})

// A suite is the provider of the OpenID conformance suite in one of its test
// modules for relying parties, as the module describes it.
type suite struct {
	alg      string                      // of ID tokens; default RS256
	kid      func() string               // in their headers; nil: that of the key; empty: none
	claims   func(claims map[string]any) // changes those of ID tokens
	corrupt  bool                        // the signature of ID tokens
	keys     []map[string]any            // the key set; nil: that of the first key
	signer   *rsa.PrivateKey             // default: the first key
	userinfo func(claims map[string]any) // changes the answer of the UserInfo endpoint
	metadata func(m map[string]any)
	onToken  func() // runs before an answer of the token endpoint

	asked url.Values // the authorization request
	basic bool       // the client has authenticated by client_secret_basic
	read  int        // answers of the UserInfo endpoint
	fetch int        // of the key set
}

func (p *suite) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	answer := func(v any) {
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(v); err != nil {
			panic(err)
		}
	}
	switch strings.TrimPrefix(r.URL.Path, "/test/a/shop/") {
	case ".well-known/openid-configuration":
		m := map[string]any{
			"issuer": suiteIssuer, "authorization_endpoint": suiteIssuer + "authorize", "token_endpoint": suiteIssuer + "token",
			"userinfo_endpoint": suiteIssuer + "userinfo", "jwks_uri": suiteIssuer + "jwks", "end_session_endpoint": suiteIssuer + "end_session_endpoint",
			"token_endpoint_auth_methods_supported": []string{"client_secret_basic", "client_secret_post", "private_key_jwt"},
		}
		if p.metadata != nil {
			p.metadata(m)
		}
		answer(m)
	case "jwks":
		p.fetch++
		keys := p.keys
		if keys == nil {
			keys = []map[string]any{rsaJWK("first", &suiteKeys().first.PublicKey), ecJWK("elliptic", &suiteKeys().elliptic.PublicKey)}
		}
		answer(map[string]any{"keys": keys})
	case "token":
		id, secret, ok := r.BasicAuth()
		if p.basic = ok && id == "client" && secret == suiteSecret; !p.basic {
			w.WriteHeader(http.StatusUnauthorized)
			break
		}
		if p.onToken != nil {
			p.onToken()
		}
		answer(map[string]any{"access_token": "opaque-token-of-the-suite", "token_type": "Bearer", "expires_in": 300, "scope": "openid", "id_token": p.idToken()})
	case "userinfo":
		if r.Header.Get("Authorization") != "Bearer opaque-token-of-the-suite" {
			w.WriteHeader(http.StatusUnauthorized)
			break
		}
		p.read++
		claims := map[string]any{"sub": "user-subject-1234531", "email": "user@suite.test", "email_verified": false, "name": "Demo T. User"}
		if p.userinfo != nil {
			p.userinfo(claims)
		}
		answer(claims)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
	return w.Result(), nil
}

func (p *suite) idToken() string {
	now := time.Now()
	claims := map[string]any{
		"iss": suiteIssuer, "sub": "user-subject-1234531", "aud": "client", "nonce": p.asked.Get("nonce"),
		"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
	}
	if p.claims != nil {
		p.claims(claims)
	}
	alg, kid, signer := p.alg, "first", p.signer
	if alg == "" {
		alg = "RS256"
	}
	if signer == nil {
		signer = suiteKeys().first
	}
	if p.kid != nil {
		kid = p.kid()
	}
	header := map[string]any{"alg": alg, "typ": "JWT"}
	if kid != "" {
		header["kid"] = kid
	}
	signed := segment(header) + "." + segment(claims)
	sum := sha256.Sum256([]byte(signed))
	var signature []byte
	switch alg {
	case "RS256":
		var err error
		if signature, err = rsa.SignPKCS1v15(nil, signer, crypto.SHA256, sum[:]); err != nil {
			panic(err)
		}
	case "ES256":
		r, s, err := ecdsa.Sign(rand.Reader, suiteKeys().elliptic, sum[:])
		if err != nil {
			panic(err)
		}
		signature = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	case "HS256":
		signature = sum[:] // of whatever key
	}
	if p.corrupt {
		signature[5] ^= 1
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func segment(v any) string {
	encoded, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(encoded)
}

func rsaJWK(kid string, key *rsa.PublicKey) map[string]any {
	return map[string]any{
		"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid,
		"n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()), "e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes()),
	}
}

func ecJWK(kid string, key *ecdsa.PublicKey) map[string]any {
	point, err := key.Bytes()
	if err != nil {
		panic(err)
	}
	return map[string]any{
		"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": kid,
		"x": base64.RawURLEncoding.EncodeToString(point[1:33]), "y": base64.RawURLEncoding.EncodeToString(point[33:]),
	}
}

// without returns a key set of the keys without the members of these names.
func without(first, second map[string]any, names ...string) []map[string]any {
	keys := []map[string]any{maps.Clone(first)}
	if second != nil {
		keys = append(keys, maps.Clone(second))
	}
	for _, key := range keys {
		for _, name := range names {
			delete(key, name)
		}
	}
	return keys
}

// TestOpenIDConformance re-enacts the test modules for relying parties of the
// OpenID conformance suite, basic profile with discovery and logout: what the
// provider does in a module, and how it must end.
//
// Left out are those of other flows (chash, request objects), and those of what
// the Flow does not use: webfinger, dynamic registration, front-channel logout,
// session management, aggregated and distributed claims.
func TestOpenIDConformance(t *testing.T) {
	set := func(name string, value any) func(map[string]any) {
		return func(claims map[string]any) { claims[name] = value }
	}
	remove := func(name string) func(map[string]any) {
		return func(claims map[string]any) { delete(claims, name) }
	}
	none := func() string { return "" }
	first, second := func() map[string]any { return rsaJWK("first", &suiteKeys().first.PublicKey) }, func() map[string]any { return rsaJWK("second", &suiteKeys().second.PublicKey) }
	rotated := func(p *suite) {
		p.keys, p.signer, p.kid = []map[string]any{second()}, suiteKeys().second, func() string { return "second" }
	}
	for _, test := range []struct {
		module string
		suite  suite
		change func(f *login.Flow)
		again  func(p *suite) // before a second sign-in
		good   bool
		either bool // good or not
		check  func(t *testing.T, s *site, p *suite)
	}{
		{module: "oidcc-client-test", good: true},
		{module: "oidcc-client-test-nonce-invalid", suite: suite{claims: set("nonce", "another-nonce-of-the-suite")}},
		{module: "oidcc-client-test-invalid-iss", suite: suite{claims: set("iss", "https://suite.test/test/a/another/")}},
		{module: "oidcc-client-test-missing-sub", suite: suite{claims: remove("sub")}},
		{module: "oidcc-client-test-invalid-aud", suite: suite{claims: set("aud", "another-client")}},
		{module: "oidcc-client-test-missing-aud", suite: suite{claims: remove("aud")}},
		{module: "oidcc-client-test-missing-iat", suite: suite{claims: remove("iat")}},
		{module: "oidcc-client-test-kid-absent-single-jwks", suite: suite{kid: none, keys: without(first(), nil, "kid")}, good: true},
		{
			// The client may reject it, or try all keys.
			module: "oidcc-client-test-kid-absent-multiple-jwks", suite: suite{kid: none, keys: without(second(), first(), "kid")},
			either: true,
		},
		{module: "oidcc-client-test-invalid-sig-rs256", suite: suite{corrupt: true}},
		{module: "oidcc-client-test-invalid-sig-es256", suite: suite{alg: "ES256", kid: func() string { return "elliptic" }, corrupt: true}},
		{module: "oidcc-client-test-invalid-sig-hs256", suite: suite{alg: "HS256"}},
		// Both may be: a client that rejects it ends the module as skipped.
		{module: "oidcc-client-test-idtoken-sig-none", suite: suite{alg: "none", kid: none}},
		{module: "oidcc-client-test-idtoken-sig-rs256", good: true},
		{
			module: "oidcc-client-test-scope-userinfo-claims", good: true,
			change: func(f *login.Flow) { f.Scopes = []string{"openid", "profile", "email"} },
			check: func(t *testing.T, s *site, p *suite) {
				token, err := s.auth.Verifier.Verify(t.Context(), "opaque-token-of-the-suite")
				var claims struct{ Email string }
				if err != nil || token.Claims(&claims) != nil || claims.Email != "user@suite.test" || p.asked.Get("scope") != "openid profile email" {
					t.Errorf("asked for %q, and got the address %q, %v", p.asked.Get("scope"), claims.Email, err)
				}
			},
		},
		{module: "oidcc-client-test-userinfo-bearer-header", good: true, check: func(t *testing.T, _ *site, p *suite) {
			if p.read == 0 {
				t.Error("the UserInfo endpoint was not asked with the header")
			}
		}},
		{module: "oidcc-client-test-userinfo-invalid-sub", suite: suite{userinfo: set("sub", "user-subject-1234531-invalid")}},
		{module: "oidcc-client-test-client-secret-basic", good: true, check: func(t *testing.T, _ *site, p *suite) {
			if !p.basic {
				t.Error("client_secret_basic was not used")
			}
		}},
		{module: "oidcc-client-test-discovery-openid-config", good: true},
		{module: "oidcc-client-test-discovery-jwks-uri-keys", good: true, check: func(t *testing.T, _ *site, p *suite) {
			if p.fetch == 0 {
				t.Error("the keys were not fetched")
			}
		}},
		{module: "oidcc-client-test-discovery-issuer-mismatch", suite: suite{metadata: set("issuer", "https://suite.test/test/a/another/")}},
		{module: "oidcc-client-test-signing-key-rotation", good: true, again: rotated},
		{module: "oidcc-client-test-signing-key-rotation-just-before-signing", good: true, again: func(p *suite) {
			p.onToken = func() { rotated(p) }
		}},
		{module: "oidcc-client-test-missing-athash", good: true}, // optional in this flow
		{module: "oidcc-client-test-invalid-athash", suite: suite{claims: set("at_hash", "77QmUPtjPfzWtF2AnpK9RQ")}},
	} {
		t.Run(test.module, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &test.suite
				s, b := newSite(t, p.client(t), func(f *login.Flow) {
					if test.change != nil {
						test.change(f)
					}
				}), newBrowser()
				resp := p.signIn(t, s, b)
				if test.again != nil {
					time.Sleep(time.Minute)
					test.again(p)
					clear(b.cookies)
					resp = p.signIn(t, s, b)
				}
				if good := resp.StatusCode == http.StatusSeeOther && b.cookies["__Host-accessToken"] != ""; good != test.good && !test.either {
					t.Errorf("status %d, signed in: %v, want %v", resp.StatusCode, good, test.good)
					for _, e := range s.failures() {
						t.Log(e.Err)
					}
				}
				if test.check != nil {
					test.check(t, s, p)
				}
				if p.asked != nil {
					s.silent(t)
				}
			})
		})
	}
}

// client makes the Flow a client of p.
func (p *suite) client(t *testing.T) func(f *login.Flow) {
	return func(f *login.Flow) {
		reach := &http.Client{Transport: p}
		f.Client = &refresh.OAuth2{
			ClientID: "client", ClientSecret: suiteSecret, Client: reach,
			Discovery: &discovery.Provider{Issuer: suiteIssuer, Client: reach},
		}
		info := &verify.UserInfo{Ask: f.Client.UserInfo, Issuer: suiteIssuer, AnyClient: true}
		t.Cleanup(func() { _ = info.Close() })
		f.Auth.Verifier, f.Auth.Refresher = info, nil
	}
}

// signIn signs a browser in, and returns the answer of the callback.
func (p *suite) signIn(t *testing.T, s *site, b *browser) *http.Response {
	t.Helper()
	resp := b.open(s, s.start, "/login")
	to, err := url.Parse(resp.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusFound {
		return resp
	}
	p.asked = to.Query()
	return b.open(s, s.callback, "/callback?"+url.Values{"code": {"code-of-the-suite"}, "state": {p.asked.Get("state")}}.Encode())
}

// The modules of logout. A logout token that must be refused ends nothing.
func TestOpenIDConformanceOfLogout(t *testing.T) {
	const event = "http://schemas.openid.net/event/backchannel-logout"
	for module, test := range map[string]struct {
		claims map[string]any
		change func(token string) string
		good   bool
	}{
		"oidcc-client-test-rp-backchannel-rpinitlogout":             {good: true},
		"oidcc-client-test-rp-backchannel-rpinitlogout-alg-none":    {change: func(token string) string { return unsign(token, "none") }},
		"oidcc-client-test-rp-backchannel-rpinitlogout-wrong-alg":   {change: func(token string) string { return unsign(token, "HS256") }},
		"oidcc-client-test-rp-backchannel-rpinitlogout-no-event":    {claims: map[string]any{"events": nil}},
		"oidcc-client-test-rp-backchannel-rpinitlogout-wrong-event": {claims: map[string]any{"events": map[string]any{event + "-another": map[string]any{}}}},
		"oidcc-client-test-rp-backchannel-rpinitlogout-with-nonce":  {claims: map[string]any{"nonce": "a nonce"}},
		"oidcc-client-test-rp-backchannel-rpinitlogout-wrong-aud":   {claims: map[string]any{"aud": "another-client"}},
		"oidcc-client-test-rp-backchannel-rpinitlogout-wrong-iss":   {claims: map[string]any{"iss": "https://another.test"}},
	} {
		t.Run(module, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, b := newSite(t, func(f *login.Flow) { f.Auth.Revocations = new(middleware.Revocations) }), newBrowser()
				b.signIn(t, s)
				time.Sleep(2 * time.Second)
				claims := map[string]any{"sub": "alice"}
				maps.Copy(claims, test.claims)
				token := s.provider.LogoutToken(claims)
				if test.change != nil {
					token = test.change(token)
				}
				r := httptest.NewRequest(http.MethodPost, "/backchannel-logout", strings.NewReader(url.Values{"logout_token": {token}}.Encode()))
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				w := serve(s.flow.BackChannel(), r)
				page := b.copy().open(s, s.auth.Require(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})), "/")
				if good := w.Code == http.StatusOK && page.StatusCode != http.StatusOK; good != test.good || !test.good && w.Code != http.StatusBadRequest {
					t.Errorf("the request is answered with %d, and then the page with %d", w.Code, page.StatusCode)
				}
			})
		})
	}
}

// The modules of a logout that begins here. The provider checks the hint and the
// URL to return to, sends a logout token, and the browser back. A client that
// sends no state, which is optional (OpenID Connect RP-Initiated Logout 1.0,
// section 2), ends the last two modules as skipped. What they send back leads to
// the same page.
func TestOpenIDConformanceOfALogoutFromHere(t *testing.T) {
	for module, back := range map[string]string{
		"oidcc-client-test-rp-init-logout":             origin + "/bye",
		"oidcc-client-test-rp-init-logout-other-state": origin + "/bye?state=another-state-of-the-suite",
		"oidcc-client-test-rp-init-logout-no-state":    origin + "/bye",
	} {
		t.Run(module, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, b := newSite(t, revoking, keepingID), newBrowser()
				b.signIn(t, s)
				time.Sleep(2 * time.Second)
				before, id := b.copy(), b.cookies["__Host-idToken"]
				action, form := readForm(t, b.signOut(t, s, "/bye"))
				want := url.Values{"id_token_hint": {id}, "client_id": {"client"}, "post_logout_redirect_uri": {origin + "/bye"}}
				if action != "https://provider.test/logout" || id == "" || !reflect.DeepEqual(form, want) {
					t.Errorf("%s is sent %v", action, form)
				}
				token := s.provider.LogoutToken(map[string]any{"sub": "alice", "sid": before.session(t)})
				if resp := deliver(s.flow.BackChannel(), token); resp.StatusCode != http.StatusOK || resp.Header.Get("Cache-Control") != "no-store" {
					t.Errorf("the logout token is answered with %d", resp.StatusCode)
				}
				bye := s.auth.Optional(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if _, ok := middleware.FromContext(r.Context()); ok {
						t.Error("somebody is signed in")
					}
				}))
				for name, b := range map[string]*browser{"the browser": b, "what has the old cookies": before} {
					if resp := b.open(s, bye, back); resp.StatusCode != http.StatusOK {
						t.Errorf("%s comes back to %d", name, resp.StatusCode)
					}
				}
			})
		})
	}
}

// unsign returns a token with another alg and without a signature.
func unsign(token, alg string) string {
	header := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"alg":%q,"typ":"logout+jwt"}`, alg))
	return header + "." + strings.Split(token, ".")[1] + "."
}
