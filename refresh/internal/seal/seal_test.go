package seal_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/tokenlife/tokenlife/refresh/internal/seal"
)

func TestOnlyTheSameSecretLabelAndDataOpenAValue(t *testing.T) {
	plain := []byte("a refresh token")
	sealed, err := seal.Seal([]byte("secret"), "label", plain, []byte("data"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := seal.Open([]byte("secret"), "label", sealed, []byte("data")); err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("opened: %q, %v", got, err)
	}
	if again, _ := seal.Seal([]byte("secret"), "label", plain, []byte("data")); bytes.Equal(again, sealed) {
		t.Error("the same value was sealed with the same nonce")
	}
	changed := bytes.Clone(sealed)
	changed[len(changed)-1] ^= 1
	for _, tt := range []struct {
		name          string
		secret, label string
		sealed        []byte
		associated    string
	}{
		{"another secret", "secret2", "label", sealed, "data"},
		{"another label", "secret", "label2", sealed, "data"},
		{"other associated data", "secret", "label", sealed, "data2"},
		{"no associated data", "secret", "label", sealed, ""},
		{"a changed value", "secret", "label", changed, "data"},
		{"half of it", "secret", "label", sealed[:len(sealed)/2], "data"},
		{"nothing", "secret", "label", nil, "data"},
	} {
		if got, err := seal.Open([]byte(tt.secret), tt.label, tt.sealed, []byte(tt.associated)); !errors.Is(err, seal.ErrOpen) || got != nil {
			t.Errorf("%s: opened as %q, %v; want ErrOpen", tt.name, got, err)
		}
	}
}
