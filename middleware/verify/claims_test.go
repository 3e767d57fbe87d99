package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// Claims that providers write for nothing: Keycloak up to version 9 an nbf of
// 0, .NET the year 1, others null.
func TestAClaimOfNothingConstrainsNothing(t *testing.T) {
	now := time.Now().Unix()
	for name, test := range map[string]struct {
		changes map[string]any
		want    string
	}{
		"nbf 0":                        {map[string]any{"nbf": 0}, "accepted"},
		"nbf 0.0":                      {map[string]any{"nbf": json.Number("0.0")}, "accepted"},
		"nbf -0":                       {map[string]any{"nbf": json.Number("-0")}, "accepted"},
		"nbf 0e9":                      {map[string]any{"nbf": json.Number("0e9")}, "accepted"},
		"nbf null":                     {map[string]any{"nbf": null}, "accepted"},
		"nbf in the year 1":            {map[string]any{"nbf": -62135596800}, "accepted"},
		"iat 0":                        {map[string]any{"iat": 0}, "accepted"},
		"iat in the year 1":            {map[string]any{"iat": -62135596800}, "accepted"},
		"jti null":                     {map[string]any{"jti": null}, "accepted"},
		"jti 0":                        {map[string]any{"jti": 0}, "accepted"},
		"jti a large number":           {map[string]any{"jti": json.Number("184467440737095516160")}, "accepted"},
		"azp null":                     {map[string]any{"azp": null}, "accepted"},
		"client_id null":               {map[string]any{"client_id": null}, "accepted"},
		"scope null":                   {map[string]any{"scope": null}, "accepted"},
		"scp null":                     {map[string]any{"scp": null}, "accepted"},
		"sid null":                     {map[string]any{"sid": null}, "accepted"},
		"token_use null":               {map[string]any{"token_use": null}, "accepted"},
		"events null":                  {map[string]any{"events": null}, "accepted"},
		"everything else null":         {map[string]any{"nonce": null, "auth_time": null, "acr": null, "cnf": null}, "accepted"},
		"what nobody reads":            {map[string]any{"nonce": 1, "auth_time": "x", "acr": []int{1}, "amr": 2, "cnf": "y", "token_use": 1}, "accepted"},
		"azp of another type, unused":  {map[string]any{"azp": []string{"app"}}, "accepted"},
		"azp of another type, used":    {map[string]any{"azp": []string{"app"}, "client_id": nil}, "refused"},
		"nbf beyond the year 9999":     {map[string]any{"nbf": json.Number("-1e300")}, "refused"},
		"nbf a date in words":          {map[string]any{"nbf": "2020-01-01"}, "refused"},
		"nbf ahead":                    {map[string]any{"nbf": now + 60}, "refused"},
		"nbf true":                     {map[string]any{"nbf": true}, "refused"},
		"iat an object":                {map[string]any{"iat": map[string]any{}}, "refused"},
		"jti an array":                 {map[string]any{"jti": []string{"a"}}, "refused"},
		"jti true":                     {map[string]any{"jti": true}, "refused"},
		"sid a number":                 {map[string]any{"sid": 1}, "refused"},
		"client_id a number":           {map[string]any{"client_id": 1}, "refused"},
		"scope an array with a null":   {map[string]any{"scope": []any{"a", nil}}, "refused"},
		"exp null":                     {map[string]any{"exp": null}, "refused"},
		"exp 0.0":                      {map[string]any{"exp": json.Number("0.0")}, "refused"},
		"iss null":                     {map[string]any{"iss": null}, "refused"},
		"sub null":                     {map[string]any{"sub": null}, "refused"},
		"aud null":                     {map[string]any{"aud": null}, "refused"},
		"a claim in another case null": {map[string]any{"SUB": null}, "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			s, j, _ := newPair(t, "ES256")
			raw := s.token(test.changes)
			want(t, j, raw, test.want)
			want(t, j, raw, test.want)
		})
	}
	s, j, _ := newPair(t, "ES256", func(i *Issuer) { i.Audience, i.SkipAudienceCheck = nil, true })
	want(t, j, s.token(map[string]any{"aud": null}), "accepted")
	want(t, j, s.token(map[string]any{"aud": 1}), "refused")
}

func TestWhatATokenOfSuchClaimsSays(t *testing.T) {
	s, j, _ := newPair(t, "ES256")
	raw := s.token(map[string]any{"jti": 4711, "iat": 0, "nbf": 0, "scope": null, "azp": null, "sid": null, "client_id": null})
	for range 2 {
		token, err := j.Verify(t.Context(), raw)
		if err != nil {
			t.Fatal(err)
		}
		if token.ID != "4711" || !token.IssuedAt.IsZero() || token.Scopes != nil || token.ClientID != "" || token.Session != "" {
			t.Errorf("token is %q of %q, issued %v, %q, session %q", token.ID, token.ClientID, token.IssuedAt, token.Scopes, token.Session)
		}
	}
}

// RFC 8417 section 4.1 recommends a security event token without exp.
func TestASecurityEventTokenMayHaveNoExp(t *testing.T) {
	events := map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}
	now := time.Now()
	for name, test := range map[string]struct {
		changes map[string]any
		want    string
	}{
		"iat and jti instead":         {nil, "accepted"},
		"exp null":                    {map[string]any{"exp": null}, "accepted"},
		"exp 0":                       {map[string]any{"exp": 0}, "accepted"},
		"issued four minutes ago":     {map[string]any{"iat": now.Add(-4 * time.Minute).Unix()}, "accepted"},
		"issued six minutes ago":      {map[string]any{"iat": now.Add(-6 * time.Minute).Unix()}, "expired"},
		"issued in the future":        {map[string]any{"iat": now.Add(time.Minute).Unix()}, "refused"},
		"without iat":                 {map[string]any{"iat": nil}, "refused"},
		"iat 0":                       {map[string]any{"iat": 0}, "refused"},
		"without jti":                 {map[string]any{"jti": nil}, "refused"},
		"an empty jti":                {map[string]any{"jti": ""}, "refused"},
		"an exp that has passed":      {map[string]any{"exp": now.Add(-time.Minute).Unix()}, "expired"},
		"an exp long ago":             {map[string]any{"exp": 1}, "expired"},
		"an exp below zero":           {map[string]any{"exp": -1}, "refused"},
		"an exp of words":             {map[string]any{"exp": "never"}, "refused"},
		"no event":                    {map[string]any{"events": nil}, "refused"},
		"events that are no object":   {map[string]any{"events": []string{"x"}}, "refused"},
		"an exp and no iat or jti":    {map[string]any{"exp": now.Add(time.Minute).Unix(), "iat": nil, "jti": nil}, "accepted"},
		"neither sub nor sid":         {map[string]any{"sub": nil}, "refused"},
		"a sid in the place of a sub": {map[string]any{"sub": nil, "sid": "s"}, "accepted"},
	} {
		t.Run(name, func(t *testing.T) {
			s, logout, p := newPair(t, "ES256", func(i *Issuer) { i.Types = []string{"logout+jwt", ""} })
			claims := join(map[string]any{"exp": nil, "events": events}, test.changes)
			want(t, logout, s.token(claims), test.want)
			want(t, newJWT(t, p), s.token(claims), "refused") // of access tokens
		})
	}
	s, j, _ := newPair(t, "ES256", func(i *Issuer) { i.Types = []string{"logout+jwt", ""} })
	token, err := j.Verify(t.Context(), s.token(map[string]any{"exp": nil, "events": events}))
	if err != nil || token.Expiry.Sub(token.IssuedAt) != maxEventAge {
		t.Errorf("%v, expiry %v", err, token.Expiry)
	}
}

// An error says what came and what is wanted: neither is a secret.
func TestAMismatchSaysWhatCameAndWhatIsWanted(t *testing.T) {
	s := newSigner("ES256", "key-1")
	one := func(*JWT) {}
	for name, test := range map[string]struct {
		changes map[string]any
		header  string
		change  func(*JWT)
		want    string
	}{
		"another audience":          {map[string]any{"aud": "https://other.example"}, "", one, `aud is "https://other.example", want "https://api.example" (Issuer.Audience)`},
		"several of them":           {map[string]any{"aud": []string{"a", "b"}}, "", one, `aud is "a", "b", want "https://api.example"`},
		"many of them":              {map[string]any{"aud": strings.Split("a b c d e f", " ")}, "", one, `aud is "a", "b", "c" and more, want`},
		"none":                      {map[string]any{"aud": nil}, "", one, `aud is absent, want "https://api.example"`},
		"an audience to break logs": {map[string]any{"aud": "\n\u202e\x00\x1b[31m"}, "", one, `aud is "\n\u202e\x00\x1b[31m", want`},
		"a long audience":           {map[string]any{"aud": strings.Repeat("é", 2000)}, "", one, `éé...", want`},
		"another issuer":            {map[string]any{"iss": "https://other.example"}, "", one, `iss is "https://other.example", want "https://issuer.example" (Issuer.URL)`},
		"an issuer with a slash":    {map[string]any{"iss": testURL + "/"}, "", one, `iss is "https://issuer.example/", want "https://issuer.example"`},
		"no issuer":                 {map[string]any{"iss": nil}, "", one, `iss is absent, want`},
		"an issuer with a password": {map[string]any{"iss": "https://ann:hunter2@other.example"}, "", one, `iss is "https://other.example", want`},
		"a password alone":          {map[string]any{"iss": "ann:hunter2@other.example"}, "", one, `iss is "(not a URL)", want`},
		"an issuer Lookup refuses": {map[string]any{"iss": "https://other.example"}, "", func(j *JWT) {
			j.Lookup = func(context.Context, string) (Issuer, error) {
				return Issuer{}, fmt.Errorf("no tenant: %w", ErrInvalid)
			}
		}, `iss is "https://other.example": Lookup: no tenant`},
		"another algorithm": {nil, `{"alg":"ES384","kid":"key-1"}`, one, `alg is "ES384", want "RS256", "ES256", "EdDSA" (Issuer.Algorithms)`},
		"another typ":       {nil, `{"alg":"ES256","kid":"key-1","typ":"logout+jwt"}`, one, `typ is "logout+jwt", want "JWT", "at+jwt" (Issuer.Types)`},
		"a wrong type":      {map[string]any{"nbf": "soon"}, "", one, `claim nbf is of the wrong type`},
	} {
		t.Run(name, func(t *testing.T) {
			p := new(provider)
			p.serve(jwks(s))
			j := newJWT(t, p)
			test.change(j)
			raw := s.token(test.changes)
			if test.header != "" {
				raw = s.sign(test.header, payloadOf(raw))
			}
			for _, verify := range []func() error{
				func() error { _, err := j.Verify(t.Context(), raw); return err },
				func() error { _, err := j.VerifyExpired(t.Context(), raw); return err },
			} {
				err := verify()
				if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), test.want) {
					t.Errorf("error is %v, want %s", err, test.want)
				} else if len(err.Error()) > 1000 || strings.Contains(err.Error(), "hunter2") {
					t.Errorf("error is %v", err)
				}
			}
		})
	}
}
