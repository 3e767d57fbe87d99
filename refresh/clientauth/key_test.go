package clientauth_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/refresh/clientauth"
	"github.com/tokenlife/tokenlife/refresh/event"
)

// idOf returns the kid of the key that a Key has now.
func idOf(t *testing.T, k *clientauth.Key) string {
	t.Helper()
	raw, err := k.JWKS()
	if err != nil {
		t.Fatal(err)
	}
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal(raw, &set); err != nil || len(set.Keys) != 1 || set.Keys[0]["d"] != "" {
		t.Fatalf("the set is %s, %v", raw, err)
	}
	return set.Keys[0]["kid"]
}

func TestAKeyIsReadInEveryForm(t *testing.T) {
	onP256 := newKey(t)
	sec1, err := x509.MarshalECPrivateKey(onP256)
	if err != nil {
		t.Fatal(err)
	}
	ofRSA, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	onP384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]*clientauth.Key{
		"PKCS #8":                  {File: file(t, pkcs8(t, onP256))},
		"SEC 1":                    {File: file(t, block("EC PRIVATE KEY", sec1))},
		"SEC 1 behind parameters":  {File: file(t, block("EC PARAMETERS", []byte{6, 1, 0}), block("EC PRIVATE KEY", sec1))},
		"PKCS #1":                  {File: file(t, block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(ofRSA)))},
		"RSA in PKCS #8":           {File: file(t, pkcs8(t, ofRSA)), Algorithm: "PS512"},
		"P-384":                    {File: file(t, pkcs8(t, onP384))},
		"Ed25519":                  {File: file(t, pkcs8(t, edwards))},
		"text around it":           {File: file(t, []byte("Bag Attributes\n"), pkcs8(t, onP256), []byte("\n# end\n"))},
		"a certificate before it":  {File: file(t, certificate(t, onP256, "a"), pkcs8(t, onP256))},
		"a certificate beside it":  {File: file(t, pkcs8(t, onP256)), CertFile: file(t, certificate(t, onP256, "a"))},
		"in memory":                {Signer: onP256},
		"in memory, a certificate": {Signer: onP256, CertFile: file(t, certificate(t, onP256, "a"))},
	} {
		if err := key.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAKeyThatCannotBeUsedIsRefused(t *testing.T) {
	good, other := newKey(t), newKey(t)
	whole := pkcs8(t, good)
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Skip("this Go makes no RSA key of 1024 bits: ", err)
	}
	encrypted := bytes.Replace(block("EC PRIVATE KEY", []byte("x")), []byte("\n"), []byte("\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n"), 1)
	for _, c := range []struct {
		name string
		key  *clientauth.Key
		want string
	}{
		{"nothing", &clientauth.Key{}, "Key.File is empty and Key.Signer is nil"},
		{"nil", nil, "nil"},
		{"two", &clientauth.Key{File: file(t, whole), Signer: good}, "both set"},
		{"no file", &clientauth.Key{File: filepath.Join(t.TempDir(), "none.pem")}, "Key.File: stat"},
		{"a folder", &clientauth.Key{File: t.TempDir()}, "Key.File: read"},
		{"an empty file", &clientauth.Key{File: file(t)}, "no private key"},
		{"half a key", &clientauth.Key{File: file(t, whole[:len(whole)/2])}, "no private key"},
		{"no key in it", &clientauth.Key{File: file(t, certificate(t, good, "a"))}, "no private key"},
		{"a public key", &clientauth.Key{File: file(t, block("PUBLIC KEY", []byte("x")))}, "no private key"},
		{"not a key", &clientauth.Key{File: file(t, block("PRIVATE KEY", []byte("secret-in-the-file")))}, "cannot be read"},
		{"a password", &clientauth.Key{File: file(t, block("ENCRYPTED PRIVATE KEY", []byte("x")))}, "encrypted"},
		{"an old password", &clientauth.Key{File: file(t, encrypted)}, "encrypted"},
		{"too weak", &clientauth.Key{File: file(t, pkcs8(t, weak))}, "2048"},
		{"too large", &clientauth.Key{File: file(t, bytes.Repeat([]byte("x"), 1<<20+1))}, "longer than"},
		{"without an end", &clientauth.Key{File: "/dev/zero"}, "longer than"},
		{"another algorithm", &clientauth.Key{File: file(t, whole), Algorithm: "RS256"}, "Key.Algorithm"},
		{"no algorithm", &clientauth.Key{File: file(t, whole), Algorithm: "none"}, "Key.Algorithm"},
		{"an algorithm with a secret", &clientauth.Key{File: file(t, whole), Algorithm: "HS256"}, "Key.Algorithm"},
		{"another's certificate", &clientauth.Key{File: file(t, whole), CertFile: file(t, certificate(t, other, "a"))}, "not that of the private key"},
		{"no certificate", &clientauth.Key{File: file(t, whole), CertFile: file(t, whole)}, "no certificate"},
		{"a broken certificate", &clientauth.Key{File: file(t, whole), CertFile: file(t, block("CERTIFICATE", []byte("secret-in-the-file")))}, "certificate that cannot be read"},
		{"an audience in words", &clientauth.Key{File: file(t, whole), Audience: "Issuer"}, "Key.Audience"},
	} {
		err := c.key.Validate()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error is %v, want %q", c.name, err, c.want)
			continue
		}
		if strings.Contains(err.Error(), "secret-in-the-file") || strings.Contains(err.Error(), base64.StdEncoding.EncodeToString([]byte("secret-in-the-file"))) {
			t.Errorf("%s: the error shows the file: %v", c.name, err)
		}
		if c.key != nil {
			if _, err := c.key.Assertion("client", clientauth.Recipient{Endpoint: "https://provider.test/token"}); err == nil && !strings.Contains(c.want, "Audience") && !strings.Contains(c.want, "both set") {
				t.Errorf("%s: it signs", c.name)
			}
		}
	}
}

func TestAKeyIsReadAgainWhenItChanges(t *testing.T) {
	first, second := newKey(t), newKey(t)
	name := file(t, pkcs8(t, first))
	k := &clientauth.Key{File: name}
	before := idOf(t, k)
	if idOf(t, k) != before {
		t.Error("the same file has another key")
	}

	whole := pkcs8(t, second)
	for _, broken := range [][]byte{nil, whole[:40], []byte("garbage"), certificate(t, second, "a")} {
		replace(t, name, broken)
		if err := k.Validate(); err != nil || idOf(t, k) != before {
			t.Errorf("while the file is broken: %v, want the key from before", err)
		}
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if err := k.Validate(); err != nil || idOf(t, k) != before {
		t.Errorf("while there is no file: %v, want the key from before", err)
	}
	replace(t, name, whole)
	after := idOf(t, k)
	if want := idOf(t, &clientauth.Key{Signer: second}); after != want {
		t.Errorf("the key is %s, want the new one", after)
	}
}

// A certificate is not renewed in the same moment as its key.
func TestAKeyAndItsCertificateChangeTogether(t *testing.T) {
	first, second := newKey(t), newKey(t)
	keyFile, certFile := file(t, pkcs8(t, first)), file(t, certificate(t, first, "a"))
	k := &clientauth.Key{File: keyFile, CertFile: certFile}
	before := idOf(t, k)
	replace(t, certFile, certificate(t, second, "b"))
	if idOf(t, k) != before {
		t.Error("a key without its certificate is used")
	}
	replace(t, keyFile, pkcs8(t, second))
	if idOf(t, k) == before {
		t.Error("the new pair is not used")
	}
}

func TestAKeyChangesWhileItIsUsed(t *testing.T) {
	keys := [][]byte{pkcs8(t, newKey(t)), pkcs8(t, newKey(t))}
	name := file(t, keys[0])
	k := &clientauth.Key{File: name}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				if _, err := k.Assertion("client", clientauth.Recipient{Endpoint: "https://provider.test/token"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 50 {
		replace(t, name, keys[i%2])
	}
	wg.Wait()
}

func TestTheIDIsWhatTheKeySays(t *testing.T) {
	var signer crypto.Signer = newKey(t)
	if id := idOf(t, &clientauth.Key{Signer: signer, ID: "2026-01"}); id != "2026-01" {
		t.Errorf("the kid is %s", id)
	}
	if id := idOf(t, &clientauth.Key{Signer: signer}); len(id) != 43 {
		t.Errorf("the kid is %s, want a thumbprint", id)
	}
}

// A file can change twice within the time that its file system can tell apart,
// to one of the same size.
func TestAKeyThatChangesTwiceInOneMomentIsReadAgain(t *testing.T) {
	first, second := newKey(t), newKey(t)
	name := file(t, pkcs8(t, first))
	moment := time.Now()
	write := func(key *ecdsa.PrivateKey) {
		t.Helper()
		if err := os.WriteFile(name, pkcs8(t, key), 0o600); err != nil { // in place, as an editor does
			t.Fatal(err)
		}
		if err := os.Chtimes(name, moment, moment); err != nil {
			t.Fatal(err)
		}
	}
	write(first)
	k := &clientauth.Key{File: name}
	before := idOf(t, k)
	write(second)
	if after := idOf(t, k); after == before {
		t.Error("the key from before is still in use")
	}
}

func TestAFileThatCannotBeUsedAnyMoreIsTold(t *testing.T) {
	name := file(t, pkcs8(t, newKey(t)))
	var told []event.Event
	k := &clientauth.Key{File: name}
	k.ObserveDefault(func(_ context.Context, e event.Event) { told = append(told, e) })
	idOf(t, k)
	for n, broken := range [][]byte{[]byte("garbage"), pkcs8(t, newKey(t))[:60]} {
		replace(t, name, broken)
		for range 3 {
			idOf(t, k)
		}
		if len(told) != n+1 || told[n].Kind != event.Misconfigured || !strings.Contains(told[n].Err.Error(), name) {
			t.Fatalf("told %v, want one more event that names the file", told)
		}
		replace(t, name, pkcs8(t, newKey(t)))
		idOf(t, k)
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if idOf(t, k); len(told) != 3 {
		t.Errorf("told %v, and nothing of the file that is gone", told)
	}
	none := &clientauth.Key{File: name, Observe: func(context.Context, event.Event) { t.Error("told of a key that never was") }}
	if err := none.Validate(); err == nil {
		t.Error("no error")
	}
}
