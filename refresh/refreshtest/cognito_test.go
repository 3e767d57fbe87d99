package refreshtest_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/cognito"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

const (
	hosted   = "https://shop.auth.eu-test-1.amazoncognito.com"
	callback = "https://shop.example/callback"
	verifier = "a-verifier-of-forty-three-characters-or-so-1"
)

// hostedClient is an OAuth2 at the pool's hosted domain.
func hostedClient(c *refreshtest.Cognito) *refresh.OAuth2 {
	return &refresh.OAuth2{
		ClientID: "client", ClientSecret: c.ClientSecret, Client: c.Client(),
		TokenURL: hosted + "/oauth2/token", RevokeURL: hosted + "/oauth2/revoke",
	}
}

// openHosted opens a page of the hosted domain and returns where it leads to.
func openHosted(t *testing.T, c *refreshtest.Cognito, path string, q url.Values) (*url.URL, int) {
	t.Helper()
	client := c.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Get(hosted + path + "?" + q.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	to, err := url.Parse(resp.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	return to, resp.StatusCode
}

func signInHosted(t *testing.T, c *refreshtest.Cognito) string {
	t.Helper()
	sum := sha256.Sum256([]byte(verifier))
	to, status := openHosted(t, c, "/oauth2/authorize", url.Values{
		"client_id": {"client"}, "redirect_uri": {callback}, "response_type": {"code"}, "state": {"s"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
		"scope": {"openid"}, "nonce": {"n"}, "login_hint": {"bob@example.com"},
	})
	if status != http.StatusFound || to.Host != "shop.example" || to.Query().Get("state") != "s" {
		t.Fatalf("the authorization endpoint answers %d and leads to %v", status, to)
	}
	return to.Query().Get("code")
}

func TestCognitoHostedDomain(t *testing.T) {
	for _, secret := range []string{"", "the client's secret"} {
		synctest.Test(t, func(t *testing.T) {
			pool := &refreshtest.Cognito{
				ClientSecret: secret, Rotation: true, Grace: 10 * time.Second,
				CallbackURLs: []string{callback}, LogoutURLs: []string{"https://shop.example/"},
			}
			client := hostedClient(pool)
			if _, err := client.Exchange(t.Context(), signInHosted(t, pool), "another verifier", callback); !errors.Is(err, refresh.ErrDenied) {
				t.Errorf("a wrong verifier: %v", err)
			}
			first, err := client.Exchange(t.Context(), signInHosted(t, pool), verifier, callback)
			if err != nil {
				t.Fatal(err)
			}
			second, err := client.Refresh(t.Context(), first)
			if err != nil || second.Refresh == first.Refresh {
				t.Fatalf("a refresh: %v", err)
			}
			time.Sleep(10 * time.Second)
			if _, err := client.Refresh(t.Context(), first); err != nil {
				t.Errorf("within the grace: %v", err)
			}
			time.Sleep(time.Second)
			if _, err := client.Refresh(t.Context(), first); !errors.Is(err, refresh.ErrDenied) {
				t.Errorf("after the grace: %v", err)
			}
			// What began there can go on at the JSON API.
			api := &cognito.Pool{Region: "eu-test-1", ClientID: "client", ClientSecret: secret, Client: pool.Client()}
			third, err := api.Refresh(t.Context(), second)
			if err != nil {
				t.Fatal(err)
			}
			if err := client.Revoke(t.Context(), third); err != nil || pool.Live(third) {
				t.Errorf("revoked: %v, and it lives: %t", err, pool.Live(third))
			}
			if s := pool.Stats(); s.Reused != 1 || s.Revoked != 1 || s.Refreshed != 3 || s.Calls["/oauth2/token"] != 5 {
				t.Errorf("stats %+v", s)
			}
			wrong := hostedClient(pool)
			wrong.ClientSecret = "wrong"
			if _, err := wrong.Refresh(t.Context(), pool.Login("alice")); err == nil || errors.Is(err, refresh.ErrDenied) {
				t.Errorf("a wrong secret: %v, want a temporary error", err)
			}
		})
	}
}

func TestCognitoHostedPagesGoBackToRegisteredURLsOnly(t *testing.T) {
	pool := &refreshtest.Cognito{CallbackURLs: []string{callback}, LogoutURLs: []string{"https://shop.example/"}}
	for _, c := range []struct {
		name, path string
		q          url.Values
		status     int
	}{
		{"a sign-out", "/logout", url.Values{"client_id": {"client"}, "logout_uri": {"https://shop.example/"}}, 302},
		{"to another site", "/logout", url.Values{"client_id": {"client"}, "logout_uri": {"https://evil.example/"}}, 400},
		{"of another client", "/logout", url.Values{"client_id": {"other"}, "logout_uri": {"https://shop.example/"}}, 400},
		{"a sign-in without PKCE", "/oauth2/authorize", url.Values{"client_id": {"client"}, "redirect_uri": {callback}, "response_type": {"code"}}, 302},
		{"a sign-in for another site", "/oauth2/authorize", url.Values{"client_id": {"client"}, "redirect_uri": {"https://evil.example/"}, "response_type": {"code"}}, 400},
		{"no page", "/oauth2/other", nil, 404},
	} {
		to, status := openHosted(t, pool, c.path, c.q)
		if status != c.status || to.Query().Has("code") {
			t.Errorf("%s: %d to %v, want %d", c.name, status, to, c.status)
		}
	}
}

func TestCognitoServerIsItsTokensIssuer(t *testing.T) {
	pool := &refreshtest.Cognito{}
	srv := refreshtest.NewCognitoServer(pool)
	defer srv.Close()
	client := &cognito.Pool{ClientID: "client", Endpoint: srv.URL}
	got, err := client.Login(t.Context(), "alice", "password")
	if err != nil || got.Access == "" {
		t.Fatal(err)
	}
	if want := srv.URL + "/eu-test-1_Pool"; pool.Issuer != want {
		t.Errorf("the issuer is %s, want %s", pool.Issuer, want)
	}
	resp, err := srv.Client().Get(pool.Issuer + "/.well-known/jwks.json")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("the key set is answered with %d", resp.StatusCode)
	}
}
