package refresh_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

func TestCognitoLogin(t *testing.T) {
	for _, c := range []struct {
		name, user, password string
		pool                 *refreshtest.Cognito
		code                 string // empty: it succeeds
	}{
		{"a user", "alice", "password", &refreshtest.Cognito{}, ""},
		{"a user by an alias, with a secret", "alice@example.com", "password", &refreshtest.Cognito{ClientSecret: secret}, ""},
		{"a wrong password", "alice", "a wrong password", &refreshtest.Cognito{}, "NotAuthorizedException"},
		{"nothing", "", "", &refreshtest.Cognito{}, "NotAuthorizedException"},
		{"a second factor", "alice", "password", &refreshtest.Cognito{Challenge: "SOFTWARE_TOKEN_MFA"}, "SOFTWARE_TOKEN_MFA"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := cognitoOf(c.pool).Login(t.Context(), c.user, c.password)
			if c.code == "" {
				if err != nil || got.Access == "" || got.Refresh == "" || got.ID == "" || time.Until(got.Expiry) < 4*time.Minute {
					t.Errorf("Login = %v, %v, want tokens", got, err)
				}
				return
			}
			refused, ok := errors.AsType[*refresh.ProviderError](err)
			if !errors.Is(err, refresh.ErrDenied) || !ok || refused.Code != c.code || got != (refresh.Tokens{}) {
				t.Errorf("Login = %v, %v, want the refusal %s", got, err, c.code)
			}
			secretive(t, err, secret, "a wrong password", "alice@example.com")
		})
	}
	pool := &refreshtest.Cognito{Challenge: "a challenge that nobody has heard of"}
	if _, err := cognitoOf(pool).Login(t.Context(), "alice", "password"); err == nil || strings.Contains(err.Error(), "nobody") {
		t.Errorf("an unknown challenge: %v", err)
	}
}

func TestCognitoRevoke(t *testing.T) {
	pool := &refreshtest.Cognito{Rotation: true, ClientSecret: secret}
	client := cognitoOf(pool)
	old := pool.Login("alice")
	if err := client.Revoke(t.Context(), refresh.Tokens{Access: old.Access}); err != nil || len(pool.Stats().Calls) > 0 {
		t.Errorf("without a refresh token: %v, %v", err, pool.Stats().Calls)
	}
	next, err := client.Refresh(t.Context(), old)
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Revoke(t.Context(), old); err != nil { // an older one ends the login too
		t.Fatal(err)
	}
	if pool.Live(next) {
		t.Error("the login lives on")
	}
	if err := client.Revoke(t.Context(), old); err != nil {
		t.Errorf("again: %v", err)
	}
	for name, body := range map[string]string{
		"a token that nobody knows, at an emulator": `{"__type":"NotAuthorizedException","message":"User not authorized"}`,
		"an app client without revocation":          `{"__type":"UnsupportedOperationException"}`,
	} {
		err := saying(400, body).Revoke(t.Context(), old)
		if _, ok := errors.AsType[*refresh.ProviderError](err); !ok || errors.Is(err, refresh.ErrDenied) {
			t.Errorf("%s: %v, want a refusal that ends nothing", name, err)
		}
	}
}

func TestCognitoValidate(t *testing.T) {
	for _, c := range []struct {
		name string
		c    *refresh.Cognito
		want string // empty: valid
	}{
		{"nil", nil, "nil"},
		{"nothing", &refresh.Cognito{}, "Cognito.ClientID"},
		{"no region", &refresh.Cognito{ClientID: "c"}, "Cognito.Region"},
		{"a region", &refresh.Cognito{ClientID: "c", Region: "eu-central-1"}, ""},
		{"a region that is a host", &refresh.Cognito{ClientID: "c", Region: "evil.example/"}, "Cognito.Region"},
		{"an endpoint", &refresh.Cognito{ClientID: "c", Endpoint: "https://vpce.example"}, ""},
		{"an endpoint on this machine", &refresh.Cognito{ClientID: "c", Endpoint: "http://127.0.0.1:9229/"}, ""},
		{"an endpoint in the clear", &refresh.Cognito{ClientID: "c", Endpoint: "http://vpce.example"}, "Cognito.Endpoint"},
		{"a negative time-out", &refresh.Cognito{ClientID: "c", Region: "r", Timeout: -1}, "Cognito.Timeout"},
	} {
		err := c.c.Validate()
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "refresh: ")) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		if c.want == "" {
			continue
		}
		_, refreshing := c.c.Refresh(t.Context(), refresh.Tokens{Refresh: "r"})
		_, signingIn := c.c.Login(t.Context(), "alice", "password")
		for _, err := range []error{refreshing, signingIn, c.c.Revoke(t.Context(), refresh.Tokens{Refresh: "r"})} {
			if err == nil || errors.Is(err, refresh.ErrDenied) {
				t.Errorf("%s: a call gives %v, want the mistake", c.name, err)
			}
		}
	}
}
