package signer_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"testing"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"

	"github.com/tokenlife/tokenlife/refresh/internal/signer"
)

func TestAKeyDescribesItself(t *testing.T) {
	k, err := signer.New()
	if err != nil {
		t.Fatal(err)
	}
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal(k.JWKS(), &set); err != nil || len(set.Keys) != 1 {
		t.Fatalf("%s: %v", k.JWKS(), err)
	}
	key := set.Keys[0]
	// The form that RFC 7638, section 3, prescribes, to the letter.
	sum := sha256.Sum256([]byte(`{"crv":"P-256","kty":"EC","x":"` + key["x"] + `","y":"` + key["y"] + `"}`))
	if want := base64.RawURLEncoding.EncodeToString(sum[:]); key["kid"] != want {
		t.Errorf("kid is %s, want the thumbprint %s", key["kid"], want)
	}
	if key["use"] != "sig" || key["alg"] != "ES256" || len(key) != 7 {
		t.Errorf("the key is %v", key)
	}
}

func TestOthersVerifyWhatAKeySigns(t *testing.T) {
	k, err := signer.New()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := k.Sign("at+jwt", map[string]any{"sub": "alice", "exp": 1})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := keyfunc.NewJWKSetJSON(k.JWKS())
	if err != nil {
		t.Fatal(err)
	}
	got, err := jwt.Parse(raw, keys.Keyfunc, jwt.WithoutClaimsValidation())
	if err != nil || got.Header["typ"] != "at+jwt" || got.Header["alg"] != "ES256" {
		t.Errorf("%v, %v", got, err)
	}
	claims, err := k.Verify(raw)
	if err != nil || claims["sub"] != "alice" {
		t.Errorf("its own: %v, %v", claims, err)
	}
	other, err := signer.New()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Verify(raw); err == nil {
		t.Error("another key verifies it")
	}
	if _, err := k.Sign("at+jwt", map[string]any{"bad": func() {}}); err == nil {
		t.Error("a function was signed")
	}
}
