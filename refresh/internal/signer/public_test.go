package signer_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"testing"

	"github.com/tokenlife/tokenlife/refresh/internal/signer"
)

// The key and the thumbprint are those of RFC 8037, appendices A.2 and A.3.
func TestTheThumbprintIsThatOfTheStandard(t *testing.T) {
	x, err := base64.RawURLEncoding.DecodeString("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
	if err != nil {
		t.Fatal(err)
	}
	p, err := signer.Describe(ed25519.PublicKey(x))
	if err != nil {
		t.Fatal(err)
	}
	if want := "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"; p.ID != want || p.Algorithm != signer.EdDSA {
		t.Errorf("%s key with the ID %s, want %s", p.Algorithm, p.ID, want)
	}
}

func TestEachKindOfKeySignsWhatItVerifies(t *testing.T) {
	for _, alg := range []string{signer.RS256, signer.ES256, signer.EdDSA} {
		private, err := signer.Generate(alg)
		if err != nil {
			t.Fatal(err)
		}
		k, err := signer.From(private)
		if err != nil || k.Algorithm != alg {
			t.Fatalf("%s: %v", alg, err)
		}
		for range 20 { // some of ECDSA's numbers are short
			raw, err := k.Sign("at+jwt", map[string]any{"sub": "alice"})
			if err != nil {
				t.Fatal(err)
			}
			if claims, err := k.Verify(raw); err != nil || claims["sub"] != "alice" {
				t.Fatalf("%s: %v", alg, err)
			}
		}
		var set struct{ Keys []map[string]string }
		if err := json.Unmarshal(signer.Set(k.Public, k.Public), &set); err != nil || len(set.Keys) != 2 || set.Keys[1]["kid"] != k.ID {
			t.Errorf("%s: the set is %v, %v", alg, set, err)
		}
		for _, private := range []string{"d", "p", "q", "k"} {
			if set.Keys[0][private] != "" {
				t.Errorf("%s: the set has %s", alg, private)
			}
		}
	}
	if string(signer.Set()) != `{"keys":[]}` {
		t.Error("a set of no keys")
	}
}

func TestKeysThatAreNotTaken(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Skip("this Go makes no RSA key of 1024 bits: ", err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, private := range map[string]crypto.Signer{"RSA of 1024 bits": weak, "P-384": other, "nothing": nil} {
		if _, err := signer.From(private); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if _, err := signer.Generate("HS256"); err == nil {
		t.Error("HS256 is made")
	}
}
