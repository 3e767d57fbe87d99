package oidcprovider

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/examples/internal/browser"
)

// A relyingParty is the least there is to a client: where the code arrives, and
// what calls the token endpoint with it.
type relyingParty struct {
	*Provider
	callback *httptest.Server
}

func newRelyingParty(t *testing.T, c Config) *relyingParty {
	t.Helper()
	callback := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte("back"))
	}))
	t.Cleanup(callback.Close)
	c.RedirectURIs = []string{callback.URL}
	return &relyingParty{Provider: Start(t, c), callback: callback}
}

// The verifier and the S256 challenge that belongs to it (RFC 7636, appendix B).
const (
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

func (rp *relyingParty) login(t *testing.T, user string) Issued {
	t.Helper()
	page := browser.New(t).Login(t, rp.Issuer+"/auth?"+url.Values{
		"client_id":             {rp.Config.ClientID},
		"response_type":         {"code"},
		"redirect_uri":          {rp.callback.URL},
		"scope":                 {strings.Join(append([]string{"openid", "offline_access"}, rp.Config.Scopes...), " ")},
		"prompt":                {"consent"},
		"code_challenge":        {challenge},
		"code_challenge_method": {"S256"},
	}.Encode(), user)
	if string(page.Body) != "back" {
		t.Fatalf("the login ends with status %d and %q", page.Status, page.Text())
	}
	tokens, status := rp.call(t, "/token", url.Values{
		"grant_type":    {"authorization_code"},
		"code":          {page.URL.Query().Get("code")},
		"code_verifier": {verifier},
		"redirect_uri":  {rp.callback.URL},
	})
	if status != http.StatusOK {
		t.Fatalf("the code is answered with status %d", status)
	}
	return tokens
}

func (rp *relyingParty) refresh(t *testing.T, token string) (Issued, int) {
	t.Helper()
	return rp.call(t, "/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
}

func (rp *relyingParty) call(t *testing.T, path string, form url.Values) (Issued, int) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, rp.Issuer+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(rp.Config.ClientID, rp.Config.ClientSecret)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var tokens Issued
	if resp.Header.Get("Content-Length") != "0" {
		if err := json.NewDecoder(resp.Body).Decode(&tokens); err != nil {
			t.Fatal(err)
		}
	}
	return tokens, resp.StatusCode
}

// decode reads a JWT's header and claims into one map, unverified.
func decode(t *testing.T, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("a token has %d parts, want 3", len(parts))
	}
	all := map[string]any{}
	for _, part := range parts[:2] {
		raw, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(raw, &all); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func TestAccessTokensAreJWTsForTheAudience(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			rp := newRelyingParty(t, Config{Algorithm: alg, AccessLife: 3 * time.Second, Scopes: []string{"notes:read"}})
			tokens := rp.login(t, "alice")
			access := decode(t, tokens.Access)
			if life := access["exp"].(float64) - access["iat"].(float64); life != 3 {
				t.Errorf("the access token lives for %v s, want 3", life)
			}
			delete(access, "exp")
			for name, want := range map[string]any{
				"alg": alg, "typ": "at+jwt", "iss": rp.Issuer, "sub": "alice",
				"aud": rp.Config.Audience, "scope": "notes:read", "client_id": "web",
			} {
				if access[name] != want {
					t.Errorf("%s of the access token is %v, want %v", name, access[name], want)
				}
			}
			id := decode(t, tokens.ID)
			if id["alg"] != alg || id["aud"] != "web" || id["sub"] != "alice" {
				t.Errorf("the ID token is %v", id)
			}
		})
	}
}

func TestRefreshTokensRotateAndReuseEndsTheGrant(t *testing.T) {
	t.Parallel()
	rp := newRelyingParty(t, Config{})
	alice, bob := rp.login(t, "alice"), rp.login(t, "bob")

	second, status := rp.refresh(t, alice.Refresh)
	if status != http.StatusOK || second.Refresh == alice.Refresh || second.Access == alice.Access {
		t.Fatalf("a refresh: status %d, a new refresh token: %v", status, second.Refresh != alice.Refresh)
	}
	if _, status := rp.refresh(t, alice.Refresh); status != http.StatusBadRequest {
		t.Errorf("the old refresh token is answered with status %d, want 400", status)
	}
	if _, status := rp.refresh(t, second.Refresh); status != http.StatusBadRequest {
		t.Errorf("after that the new one is answered with status %d, want 400", status)
	}
	if _, status := rp.refresh(t, bob.Refresh); status != http.StatusOK {
		t.Errorf("another login is answered with status %d, want 200", status)
	}

	var got []string
	for _, e := range rp.Events(t) {
		line := e.Kind + " " + e.GrantType + " " + e.Subject
		if e.Reuse() {
			line += " reuse"
		}
		got = append(got, line)
	}
	want := []string{
		"granted authorization_code alice",
		"granted authorization_code bob",
		"granted refresh_token alice",
		"ended  alice",
		"refused refresh_token alice reuse",
		"refused refresh_token ",
		"granted refresh_token bob",
	}
	if !slices.Equal(got, want) {
		t.Errorf("events:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestRevocationEndsTheGrantAndIsSeen(t *testing.T) {
	t.Parallel()
	rp := newRelyingParty(t, Config{})
	tokens := rp.login(t, "alice")
	if _, status := rp.call(t, "/token/revocation", url.Values{"token": {tokens.Refresh}}); status != http.StatusOK {
		t.Fatalf("the revocation is answered with status %d, want 200", status)
	}
	events := rp.Events(t)
	revoked := slices.IndexFunc(events, func(e Event) bool { return e.Kind == Revoked })
	if revoked < 0 || events[revoked].Subject != "alice" || events[revoked].Presented.Refresh != tokens.Refresh {
		t.Errorf("the revocation is not among the events: %d of them", len(events))
	}
	if _, status := rp.refresh(t, tokens.Refresh); status != http.StatusBadRequest {
		t.Errorf("the revoked token is answered with status %d, want 400", status)
	}
}

func TestEventsHoldEverySecretOfALogin(t *testing.T) {
	t.Parallel()
	rp := newRelyingParty(t, Config{})
	first := rp.login(t, "alice")
	second, _ := rp.refresh(t, first.Refresh)
	var secrets []string
	for _, e := range rp.Events(t) {
		secrets = append(secrets, e.Secrets()...)
	}
	for _, want := range []string{
		verifier, first.Access, first.Refresh, first.ID, second.Access, second.Refresh, second.ID,
	} {
		if !slices.Contains(secrets, want) {
			t.Error("a token or the verifier is missing")
		}
	}
}
