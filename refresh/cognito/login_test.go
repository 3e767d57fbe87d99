package cognito_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/cognito"
	"github.com/tokenlife/tokenlife/refresh/internal/silence"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// A site's own sign-in form. Where the pool asks for more than a password, send
// the user to its hosted page.
func ExamplePool_Login() {
	fake := &refreshtest.Cognito{Challenge: "SOFTWARE_TOKEN_MFA"} // in place of AWS
	pool := &cognito.Pool{Region: "eu-test-1", ClientID: "client", Client: fake.Client()}

	_, err := pool.Login(context.Background(), "alice", "password")
	var refused *refresh.ProviderError
	if errors.Is(err, refresh.ErrDenied) && errors.As(err, &refused) {
		fmt.Println("Cognito asks for", refused.Code)
	}
	// Output: Cognito asks for SOFTWARE_TOKEN_MFA
}

func TestPoolLogin(t *testing.T) {
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
			got, err := poolOf(c.pool).Login(t.Context(), c.user, c.password)
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
			silence.Error(t, err, secret, "a wrong password", "alice@example.com")
		})
	}
	pool := &refreshtest.Cognito{Challenge: "a challenge that nobody has heard of"}
	if _, err := poolOf(pool).Login(t.Context(), "alice", "password"); err == nil || strings.Contains(err.Error(), "nobody") {
		t.Errorf("an unknown challenge: %v", err)
	}
}

func TestPoolRevoke(t *testing.T) {
	pool := &refreshtest.Cognito{Rotation: true, ClientSecret: secret}
	client := poolOf(pool)
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
		err := answering(400, body).Revoke(t.Context(), old)
		if _, ok := errors.AsType[*refresh.ProviderError](err); !ok || errors.Is(err, refresh.ErrDenied) {
			t.Errorf("%s: %v, want a refusal that ends nothing", name, err)
		}
	}
}

func TestPoolValidate(t *testing.T) {
	for _, c := range []struct {
		name string
		c    *cognito.Pool
		want string // empty: valid
	}{
		{"nil", nil, "nil"},
		{"nothing", &cognito.Pool{}, "Pool.ClientID"},
		{"no region", &cognito.Pool{ClientID: "c"}, "Pool.Region"},
		{"a region", &cognito.Pool{ClientID: "c", Region: "eu-central-1"}, ""},
		{"a region that is a host", &cognito.Pool{ClientID: "c", Region: "evil.example/"}, "Pool.Region"},
		{"an endpoint", &cognito.Pool{ClientID: "c", Endpoint: "https://vpce.example"}, ""},
		{"an endpoint on this machine", &cognito.Pool{ClientID: "c", Endpoint: "http://127.0.0.1:9229/"}, ""},
		{"an endpoint in the clear", &cognito.Pool{ClientID: "c", Endpoint: "http://vpce.example"}, "Pool.Endpoint"},
		{"a negative time-out", &cognito.Pool{ClientID: "c", Region: "r", Timeout: -1}, "Pool.Timeout"},
	} {
		err := c.c.Validate()
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "cognito: ")) {
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
