package cookies_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tokenlife/tokenlife/cookies"
)

// key returns a key that differs for every n.
func key(n byte) []byte { return bytes.Repeat([]byte{n}, 32) }

func ring(t testing.TB, keys ...byte) *cookies.KeyRing {
	t.Helper()
	var all [][]byte
	for _, n := range keys {
		all = append(all, key(n))
	}
	k, err := cookies.NewKeyRing(all...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestNewKeyRingRefusesWhatIsNoSetOfKeys(t *testing.T) {
	nine := make([][]byte, 9)
	for i := range nine {
		nine[i] = key(byte(i + 1))
	}
	tests := []struct {
		name string
		keys [][]byte
		want string
	}{
		{"no key", nil, "no key"},
		{"an empty key", [][]byte{{}}, "key 1 has 0 bytes"},
		{"a key for AES-128", [][]byte{key(1), key(2)[:16]}, "key 2 has 16 bytes"},
		{"a key in hexadecimal", [][]byte{bytes.Repeat([]byte("ab"), 32)}, "key 1 has 64 bytes"},
		{"a key nobody filled in", [][]byte{key(0)}, "all zeros"},
		{"one key twice", [][]byte{key(1), key(2), key(1)}, "key 3 repeats key 1"},
		{"too many keys", nine, "9 keys"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k, err := cookies.NewKeyRing(tt.keys...)
			if k != nil || err == nil || !strings.HasPrefix(err.Error(), "cookies: ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, %v; want an error about %q", k, err, tt.want)
			}
		})
	}
	if _, err := cookies.NewKeyRing(nine[:8]...); err != nil {
		t.Errorf("eight keys: %v", err)
	}
}

func TestTheNewestKeySealsAndAllKeysOpen(t *testing.T) {
	older, rotated, newer := ring(t, 1), ring(t, 2, 1), ring(t, 2)
	for _, tt := range []struct {
		name       string
		seal, open *cookies.KeyRing
		ok         bool
	}{
		{"its own", older, older, true},
		{"the older key's after rotation", older, rotated, true},
		{"the rotated ring's with the new key alone", rotated, newer, true},
		{"the rotated ring's with the old key alone", rotated, older, false},
		{"the old key's once it is taken away", older, newer, false},
	} {
		plain, err := tt.open.Open("name", tt.seal.Seal("name", []byte("plain")))
		if (err == nil) != tt.ok || tt.ok && string(plain) != "plain" {
			t.Errorf("%s: got %q, %v", tt.name, plain, err)
		}
	}
}

func TestOpenRefusesAllButTheOneText(t *testing.T) {
	k := ring(t, 1)
	sealed := k.Seal("name", []byte("plain text of some length"))
	if strings.Trim(sealed, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		t.Errorf("sealed text %q is not of the base64url alphabet", sealed)
	}
	if again := k.Seal("name", []byte("plain text of some length")); again != sealed {
		t.Error("two texts of one value under one name")
	}
	// Another value or name has another nonce, in the first sixteen characters.
	for _, other := range []string{
		k.Seal("name", []byte("plain text of some lengtH")),
		k.Seal("namep", []byte("lain text of some length")),
		ring(t, 2).Seal("name", []byte("plain text of some length")),
	} {
		if other[:17] == sealed[:17] {
			t.Errorf("%q and %q share a nonce", other, sealed)
		}
	}
	tests := []struct{ name, under, sealed string }{
		{"another name", "nam", sealed},
		{"no name", "", sealed},
		{"the border between version and name moved", "1name", sealed},
		{"nothing", "name", ""},
		{"only a version", "name", "1"},
		{"another version", "name", "2" + sealed[1:]},
		{"a line break inside", "name", sealed[:9] + "\n" + sealed[9:]},
		{"a carriage return at the end", "name", sealed + "\r"},
		{"padding", "name", sealed + "="},
		{"one character less", "name", sealed[:len(sealed)-1]},
		{"one character more", "name", sealed + "A"},
		{"the first half", "name", sealed[:len(sealed)/2]},
		{"more than the size limit", "name", k.Seal("name", make([]byte, 60000))},
	}
	for _, tt := range tests {
		if plain, err := k.Open(tt.under, tt.sealed); err == nil {
			t.Errorf("%s opens to %q", tt.name, plain)
		} else if !strings.HasPrefix(err.Error(), "cookies: ") {
			t.Errorf("%s: error %q", tt.name, err)
		}
	}
	if _, err := k.Open("name", k.Seal("name", make([]byte, 48000))); err != nil {
		t.Errorf("48,000 bytes: %v", err)
	}
	if plain, err := k.Open("", k.Seal("", nil)); err != nil || len(plain) != 0 {
		t.Errorf("nothing, sealed under no name: %q, %v", plain, err)
	}
}

func TestStrayBitsAtTheEndNeverOpen(t *testing.T) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	k := ring(t, 1)
	for _, plain := range []string{"", "x", "xx"} { // with 4, 2 and 0 stray bits
		sealed := k.Seal("name", []byte(plain))
		last := len(sealed) - 1
		opened := 0
		for _, c := range alphabet {
			if _, err := k.Open("name", sealed[:last]+string(c)); err == nil {
				opened++
			}
		}
		if opened != 1 {
			t.Errorf("%d plain bytes: %d last characters open", len(plain), opened)
		}
	}
}

func TestAKeyRingPrintsNoKey(t *testing.T) {
	k := ring(t, 'K')
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, v := range []any{k, *k, cookies.Policy{Keys: k}, &cookies.Policy{Keys: k}} {
			got := fmt.Sprintf(verb, v)
			for _, secret := range []string{"KKKK", "4b4b", "4B4B", "75 75", "75, 75", "0x4b, 0x4b"} {
				if strings.Contains(got, secret) {
					t.Errorf("%s of %T shows the key: %s", verb, v, got)
				}
			}
		}
	}
	if got := fmt.Sprint(k); got != "cookies.KeyRing{1 keys}" {
		t.Errorf("prints as %s", got)
	}
}

func TestSealPanicsWithoutKeys(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic: a value was sealed with no key")
		}
	}()
	new(cookies.KeyRing).Seal("name", nil)
}

func FuzzAFlippedByteNeverOpens(f *testing.F) {
	f.Add("__Host-accessToken", []byte("token"), 0, byte(1))
	f.Add("", []byte{}, 7, byte('A'^'B'))
	f.Add("state", []byte("0123456789abcdef"), -1, byte(0x20))
	f.Fuzz(func(t *testing.T, name string, plain []byte, at int, flip byte) {
		k := ring(t, 1, 2)
		sealed := k.Seal(name, plain)
		got, err := k.Open(name, sealed)
		if err != nil || !slices.Equal(got, plain) {
			t.Fatalf("sealed text does not open: %v", err)
		}
		if flip == 0 {
			return
		}
		changed := []byte(sealed)
		changed[uint(at)%uint(len(changed))] ^= flip
		if _, err := k.Open(name, string(changed)); err == nil {
			t.Fatalf("opens with byte %d changed", uint(at)%uint(len(changed)))
		}
	})
}
