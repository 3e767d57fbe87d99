package verify

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestCognito(t *testing.T) {
	const pool = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Pool"
	s, p := newSigner("RS256", "key-1"), new(provider)
	p.set(func(r *http.Request) (*http.Response, error) {
		if r.URL.String() != pool+"/.well-known/jwks.json" {
			t.Errorf("keys fetched from %s", r.URL)
		}
		return respond(r, 200, jwks(s)), nil
	})
	j, err := New(Cognito("eu-west-1", "eu-west-1_Pool", "client"))
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	j.Client = &http.Client{Transport: p}
	access := map[string]any{"iss": pool, "aud": nil, "client_id": "client", "token_use": "access"}
	for name, test := range map[string]struct {
		changes map[string]any
		want    string
	}{
		"an access token":                     {nil, "accepted"},
		"with the newer issuer":               {map[string]any{"iss": strings.Replace(pool, "cognito", "issuer-cognito", 1)}, "accepted"},
		"of another pool":                     {map[string]any{"iss": pool + "2"}, "refused"},
		"an ID token":                         {map[string]any{"token_use": "id", "aud": "client", "client_id": nil}, "refused"},
		"an ID token that has a client_id":    {map[string]any{"token_use": "id"}, "refused"},
		"for another app client":              {map[string]any{"client_id": "other"}, "refused"},
		"without client_id":                   {map[string]any{"client_id": nil, "azp": nil}, "refused"},
		"without token_use":                   {map[string]any{"token_use": nil}, "refused"},
		"expired":                             {map[string]any{"exp": time.Now().Unix() - 60}, "expired"},
		"expired, and for another app client": {map[string]any{"exp": time.Now().Unix() - 60, "client_id": "other"}, "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			raw := s.token(join(map[string]any{"iss": pool, "aud": nil, "client_id": access["client_id"], "token_use": "access"}, test.changes))
			want(t, j, raw, test.want)
			if token, _ := j.Verify(t.Context(), raw); token != nil && token.Issuer != pool {
				t.Errorf("issuer %s, want always the same", token.Issuer)
			}
		})
	}
}

func TestCognitoIDTokens(t *testing.T) {
	const pool = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Pool"
	s, p := newSigner("RS256", "key-1"), new(provider)
	p.serve(jwks(s))
	j, err := New(CognitoID("eu-west-1", "eu-west-1_Pool", "client"))
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	j.Client = &http.Client{Transport: p}
	for name, test := range map[string]struct {
		changes map[string]any
		want    string
	}{
		"an ID token":                     {nil, "accepted"},
		"for another app client":          {map[string]any{"aud": "other"}, "refused"},
		"without aud":                     {map[string]any{"aud": nil}, "refused"},
		"an access token":                 {map[string]any{"aud": nil, "token_use": "access", "client_id": "client"}, "refused"},
		"an access token that has an aud": {map[string]any{"token_use": "access"}, "refused"},
		"without token_use":               {map[string]any{"token_use": nil}, "refused"},
		"of another pool":                 {map[string]any{"iss": pool + "2"}, "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			raw := s.token(join(map[string]any{
				"iss": pool, "aud": "client", "client_id": nil, "token_use": "id", "cognito:groups": []string{"admins"},
			}, test.changes))
			want(t, j, raw, test.want)
			if token, _ := j.Verify(t.Context(), raw); token != nil && !token.HasGroup("admins") {
				t.Error("the groups are missing")
			}
		})
	}
}
