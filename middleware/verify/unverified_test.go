package verify

import (
	"errors"
	"strings"
	"testing"
)

// unverified returns a token of which only the payload means anything.
func unverified(payload string) string {
	return b64([]byte(`{"alg":"none"}`)) + "." + b64([]byte(payload)) + "."
}

func TestUnverifiedClaimsReadsATokenThatNobodySigned(t *testing.T) {
	var claims struct {
		Session string   `json:"sid"`
		Roles   []string `json:"roles"`
		N       int64    `json:"n"`
	}
	raw := unverified(`{"sid":"s-1","roles":["admin"],"n":1152921504606846976,"jti":7,"exp":1}`)
	if err := UnverifiedClaims(raw, &claims); err != nil || claims.Session != "s-1" || len(claims.Roles) != 1 || claims.N != 1<<60 {
		t.Errorf("claims %+v, %v", claims, err)
	}
	many := make(map[string]any)
	if err := UnverifiedClaims(raw, &many); err != nil || many["sid"] != "s-1" {
		t.Errorf("claims %v, %v", many, err)
	}
}

func TestUnverifiedClaimsRefusesWhatVerifyRefusesForItsForm(t *testing.T) {
	const filler = `{"sid":"`
	fits := unverified(filler + strings.Repeat("x", 40<<10) + `"}`)
	for _, tt := range []struct {
		name, raw, want string // want is empty where the claims can be read
	}{
		{"a long token", fits, ""},
		{"a token over the bound", fits + strings.Repeat("A", maxUnverified-len(fits)+1), "too long"},
		{"a token at the bound", fits + strings.Repeat("A", maxUnverified-len(fits)), ""},
		{"a megabyte without dots", strings.Repeat("x", 1<<20), "too long"},
		{"nothing", "", "not three parts"},
		{"two segments", "e30.e30", "not three parts"},
		{"an encrypted token of five segments", "e30.e30.e30.e30.e30", "not three parts"},
		{"padding", "e30.eyJhIjoxfQ==.", "not base64url"},
		{"a line break", "e30.eyJh\nIjoxfQ.", "not base64url"},
		{"loose bits", "e30.e31.", "not base64url"},
		{"an array", unverified(`["sid"]`), "plain JSON object"},
		{"two objects", unverified(`{}{}`), "plain JSON object"},
		{"half an object", unverified(`{"sid":"s"`), "plain JSON object"},
		{"no payload", unverified(``), "plain JSON object"},
		{"broken UTF-8", unverified("{\"sid\":\"\xff\"}"), "plain JSON object"},
		{"nesting without end", unverified(`{"a":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}`), "plain JSON object"},
		{"a claim twice", unverified(`{"sid":"s","sid":"t"}`), "plain JSON object"},
		{"a claim twice, once by escapes", unverified(`{"sid":"s","\u0073id":"t"}`), "plain JSON object"},
		{"a claim twice in different case", unverified(`{"role":"s","Role":"t"}`), "plain JSON object"},
		{"a registered claim in another case", unverified(`{"SID":"s"}`), "another case"},
		{"a registered claim with a letter that folds", unverified(`{"\u017fub":"s"}`), "another case"},
		{"an unregistered claim in capitals", unverified(`{"Role":"s"}`), ""},
	} {
		var claims map[string]any
		err := UnverifiedClaims(tt.raw, &claims)
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.want != "" && (!errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		case tt.want != "" && claims != nil:
			t.Errorf("%s: claims %v", tt.name, claims)
		}
	}
}

func TestUnverifiedClaimsThatDoNotFitAreNotTheTokensFault(t *testing.T) {
	var claims struct {
		Session int `json:"sid"`
	}
	err := UnverifiedClaims(unverified(`{"sid":"s-1"}`), &claims)
	if err == nil || errors.Is(err, ErrInvalid) || !strings.HasPrefix(err.Error(), "verify: claims: ") {
		t.Errorf("error %v", err)
	}
}

// What UnverifiedClaims keeps of a payload is not overwritten by the next token
// that is decoded into the same buffer.
func TestUnverifiedClaimsKeepsNothingOfItsBuffer(t *testing.T) {
	s, j, _ := newPair(t, "ES256")
	var claims map[string]any
	if err := UnverifiedClaims(unverified(`{"sid":"s-1","o":{"a":"b"}}`), &claims); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if _, err := j.Verify(t.Context(), s.token(nil)); err != nil {
			t.Fatal(err)
		}
	}
	if claims["sid"] != "s-1" || claims["o"].(map[string]any)["a"] != "b" {
		t.Errorf("claims %v", claims)
	}
}
