package verify

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What an expired token says is believed only if its issuer has signed it.
func TestVerifyExpiredLooksAtTheSignature(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, j, p := newPair(t, "ES256")
		forger := newSigner("ES256", "key-1")
		past := map[string]any{"iat": time.Now().Add(-2 * time.Hour).Unix(), "exp": time.Now().Add(-time.Hour).Unix()}
		good := s.token(nil)
		expired := s.token(past)
		if _, err := j.Verify(t.Context(), good); err != nil {
			t.Fatal(err)
		}
		for name, test := range map[string]struct {
			raw  string
			want error
		}{
			"a good token":                          {good, nil},
			"an expired token":                      {expired, nil},
			"an expired token that somebody made":   {forger.token(past), ErrInvalid},
			"an expired token of an unknown key":    {newSigner("ES256", "key-2").token(past), ErrInvalid},
			"an expired token of another issuer":    {s.token(with(past, map[string]any{"iss": "https://other.example"})), ErrInvalid},
			"an expired token for another audience": {s.token(with(past, map[string]any{"aud": "other"})), ErrInvalid},
			"an expired token without a signature":  {expired[:strings.LastIndexByte(expired, '.')+1], ErrInvalid},
			"no token":                              {"no-token", ErrInvalid},
		} {
			token, err := j.VerifyExpired(t.Context(), test.raw)
			if !errors.Is(err, test.want) || (err == nil) != (token != nil) || err == nil && token.Subject != "user-1" {
				t.Errorf("%s: %v, want %v", name, err, test.want)
			}
		}

		// A token that was seen while it was good needs no second look, and one
		// that was not needs the keys.
		time.Sleep(2 * time.Hour)
		if token, err := j.VerifyExpired(t.Context(), good); err != nil || token == nil {
			t.Errorf("a remembered token: %v", err)
		}
		p.serve(jwks(newSigner("ES256", "key-2")))
		time.Sleep(2 * time.Hour)
		want(t, j, newSigner("ES256", "key-3").token(nil), "refused")
		if _, err := j.VerifyExpired(t.Context(), expired); !errors.Is(err, ErrInvalid) {
			t.Errorf("a token whose key has gone: %v", err)
		}
	})
}
