package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

const cognitoPool = "cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbC123"

// cognitoSite is a gateway for the users of a pool that is on this machine; its
// tokens are those of the pool that ISSUER names.
func cognitoSite(t *testing.T, issuer string) (*site, *refreshtest.Cognito) {
	t.Helper()
	pool := &refreshtest.Cognito{
		Issuer: issuer, ClientSecret: testSecret, CallbackURLs: []string{"https://gateway.example/auth/callback"},
	}
	srv := refreshtest.NewCognitoServer(pool)
	t.Cleanup(srv.Close)
	return newSite(t, map[string]string{
		"PUBLIC_URL": "https://gateway.example", "ISSUER": issuer, "AUDIENCE": "",
		"AUTH_URL": srv.URL + "/oauth2/authorize", "TOKEN_URL": srv.URL + "/oauth2/token",
		"REVOKE_URL": srv.URL + "/oauth2/revoke", "END_SESSION_URL": srv.URL + "/logout",
		"JWKS_URL": srv.URL + "/.well-known/jwks.json",
	}), pool
}

func TestUsersOfACognitoPoolSignIn(t *testing.T) {
	for _, issuer := range []string{"https://" + cognitoPool, "https://issuer-" + cognitoPool} {
		s, _ := cognitoSite(t, issuer)
		login := s.signIn(t)
		if a := s.do(t, http.MethodGet, "/orders", login); a.status != http.StatusOK {
			t.Errorf("%s: the upstream's page: status %d", issuer, a.status)
		}
		if a := s.do(t, http.MethodPost, "/auth/refresh", login); a.status != http.StatusNoContent {
			t.Errorf("%s: a refresh: status %d", issuer, a.status)
		}
		if a := s.do(t, http.MethodGet, "/auth/session", login); !strings.Contains(a.body, `"authenticated":true,"subject":"sub-alice"`) {
			t.Errorf("%s: the session is %s", issuer, a.body)
		}
	}
}

// A pool's tokens are of two uses, and an ID token is none for requests.
func TestCognitoIDTokensOpenNothing(t *testing.T) {
	s, pool := cognitoSite(t, "https://"+cognitoPool)
	tokens := pool.Login("alice")
	for raw, want := range map[string]int{tokens.Access: http.StatusOK, tokens.ID: http.StatusUnauthorized} {
		s.secret(raw)
		if a := s.do(t, http.MethodGet, "/", "", "Authorization", "Bearer "+raw); a.status != want {
			t.Errorf("status %d, want %d", a.status, want)
		}
	}
}
