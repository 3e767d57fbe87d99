package local_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/local"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// kids returns the IDs of the keys that an issuer publishes.
func kids(t *testing.T, i *local.Issuer) []string {
	t.Helper()
	jwks, err := i.JWKS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var set struct {
		Keys []map[string]string `json:"keys"`
	}
	if err := json.Unmarshal(jwks, &set); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, k := range set.Keys {
		if k["d"] != "" || k["kid"] == "" || k["use"] != "sig" {
			t.Errorf("a key is published as %v", k)
		}
		ids = append(ids, k["kid"])
	}
	return ids
}

func kid(t *testing.T, tok refresh.Tokens) string {
	t.Helper()
	got, _, err := jwt.NewParser().ParseUnverified(tok.Access, jwt.MapClaims{})
	if err != nil {
		t.Fatal(err)
	}
	return got.Header["kid"].(string)
}

func TestEachAlgorithmIsVerifiedByOthers(t *testing.T) {
	for _, alg := range []string{"", "ES256", "RS256", "EdDSA"} {
		i := newIssuer()
		i.Algorithm = alg
		got := parse(t, i, login(t, i).Access)
		want := alg
		if alg == "" {
			want = "ES256"
		}
		if got.Method.Alg() != want {
			t.Errorf("%q: it is signed with %s", alg, got.Method.Alg())
		}
	}
}

func TestKeysOfOnesOwn(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	edKey := ed25519.NewKeyFromSeed(make([]byte, 32))
	store := new(refresh.MemoryStore)
	signers := []crypto.Signer{rsaKey, ecKey, edKey}
	var tok refresh.Tokens
	for n, alg := range []string{"RS256", "ES256", "EdDSA"} {
		i := newIssuer()
		i.Store, i.Signers = store, signers
		if n == 0 {
			tok = login(t, i)
		} else if tok, err = i.Refresh(t.Context(), tok); err != nil { // the keys have changed, the login goes on
			t.Fatal(err)
		}
		got := parse(t, i, tok.Access)
		if got.Method.Alg() != alg || len(kids(t, i)) != 3 || kids(t, i)[0] != kid(t, tok) {
			t.Errorf("%s: it is signed with %s, %d keys", alg, got.Method.Alg(), len(kids(t, i)))
		}
		signers = append(signers[1:], signers[0])
	}
	weak, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i := newIssuer()
	i.Signers = []crypto.Signer{ecKey, weak}
	if err := i.Validate(); err == nil || !strings.Contains(err.Error(), "Signers[1]") {
		t.Errorf("a key on another curve: %v", err)
	}
}

// Whoever keeps the key set for as long as they may knows every key by the time
// it signs, and no key goes while a token that it has signed is good.
func TestKeysRotateWithoutSigningAnybodyOut(t *testing.T) {
	for name, secret := range map[string][]byte{"in memory": nil, "shared": make([]byte, 32)} {
		synctest.Test(t, func(t *testing.T) {
			store := new(refresh.MemoryStore)
			open := func() *local.Issuer {
				i := newIssuer()
				i.Life, i.RotateEvery, i.Secret = 2*time.Hour, 6*time.Hour, secret
				if secret != nil {
					i.Store = store
				}
				return i
			}
			replicas := []*local.Issuer{open()}
			if secret != nil {
				replicas = append(replicas, open(), open())
			}
			type signed struct {
				tok refresh.Tokens
				kid string
			}
			var tokens []signed
			cached := make([][]string, 12) // key sets as of the last 12 minutes, of changing replicas
			used := map[string]bool{}
			tok := login(t, replicas[0])
			for minute := range 3 * 24 * 60 {
				r := replicas[minute%len(replicas)]
				cached = append(cached[1:], kids(t, r))
				if n := len(cached[11]); n > 3 {
					t.Fatalf("%s: %d keys are published", name, n)
				}
				if minute%30 == 0 {
					next, err := replicas[(minute/30)%len(replicas)].Refresh(t.Context(), tok)
					if err != nil {
						t.Fatal(err)
					}
					tok = next
					id := kid(t, tok)
					used[id] = true
					tokens = append(tokens, signed{tok, id})
					if minute > 12 && !slices.Contains(cached[0], id) {
						t.Fatalf("%s: after %d minutes a key signs that was not published 12 minutes before", name, minute)
					}
				}
				for _, s := range tokens {
					if time.Now().Before(s.tok.Expiry) && !slices.Contains(cached[11], s.kid) {
						t.Fatalf("%s: after %d minutes a token is good and its key is gone", name, minute)
					}
				}
				tokens = slices.DeleteFunc(tokens, func(s signed) bool { return time.Now().After(s.tok.Expiry) })
				if minute == 36*60 && secret != nil { // a restart
					replicas[1] = open()
				}
				time.Sleep(time.Minute)
			}
			if n := len(used); n < 11 || n > 13 {
				t.Errorf("%s: %d keys have signed in 72 hours, want about 12", name, n)
			}
		})
	}
}

func TestReplicasThatStartAtOnceShareOneKey(t *testing.T) {
	store := new(refresh.MemoryStore)
	secret := make([]byte, 32)
	all := make(chan string, 8)
	for range cap(all) {
		go func() {
			i := newIssuer()
			i.Store, i.Secret = store, secret
			tok, err := i.Login(context.Background(), "alice")
			if err != nil {
				all <- err.Error()
				return
			}
			all <- kid(t, tok)
		}()
	}
	first := <-all
	for range cap(all) - 1 {
		if other := <-all; other != first {
			t.Errorf("one signs with %s, another with %s", first, other)
		}
	}
}

func TestAnotherSecretOrURLIsAnotherKey(t *testing.T) {
	store := new(refresh.MemoryStore)
	seen := map[string]bool{}
	for _, c := range []struct {
		url    string
		secret byte
	}{{"https://a.test", 0}, {"https://b.test", 0}, {"https://a.test", 1}} {
		secret := make([]byte, 32)
		secret[0] = c.secret
		i := &local.Issuer{URL: c.url, Audience: []string{"a"}, Store: store, Secret: secret}
		seen[kids(t, i)[0]] = true
	}
	if len(seen) != 3 {
		t.Errorf("%d keys, want 3", len(seen))
	}
}

func TestAnotherAlgorithmIsPublishedBeforeItSigns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, secret := new(refresh.MemoryStore), make([]byte, 32)
		open := func(alg string) *local.Issuer {
			i := newIssuer()
			i.Store, i.Secret, i.Algorithm = store, secret, alg
			return i
		}
		before := kid(t, login(t, open("ES256")))
		i := open("EdDSA")
		if got := kid(t, login(t, i)); got != before || len(kids(t, i)) != 2 {
			t.Errorf("at once it signs with another key: %t, %d keys", got != before, len(kids(t, i)))
		}
		time.Sleep(15 * time.Minute)
		if got := parse(t, i, login(t, i).Access).Method.Alg(); got != "EdDSA" {
			t.Errorf("later it signs with %s", got)
		}
	})
}

// withoutKeys makes store fail where an issuer's keys are read, but not for
// logins.
func withoutKeys(store *refreshtest.FaultyStore) {
	store.Intercept(func(_ context.Context, c refreshtest.StoreCall, do func() (bool, error)) error {
		if !c.Swap && strings.HasPrefix(c.Key, "local.keys.") {
			return refreshtest.ErrStoreDown
		}
		_, err := do()
		return err
	})
}

func TestWithoutTheStoreTheKeysAtHandGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(refreshtest.FaultyStore)
		i := newIssuer()
		i.Store, i.Secret = store, make([]byte, 32)
		withoutKeys(store)
		if _, err := i.Login(t.Context(), "alice"); !errors.Is(err, refreshtest.ErrStoreDown) || !strings.HasPrefix(err.Error(), "local: ") {
			t.Errorf("without any key: %v, want the store's error", err)
		}
		store.Intercept(nil)
		before := kid(t, login(t, i))
		withoutKeys(store)
		time.Sleep(48 * time.Hour)
		if got := kid(t, login(t, i)); got != before {
			t.Error("a key signs that nobody else knows")
		}
		store.Intercept(nil)
		time.Sleep(time.Minute)
		login(t, i)
		if n := len(kids(t, i)); n != 2 {
			t.Errorf("when the store is back, %d keys are published, want the next one as well", n)
		}
		time.Sleep(16 * time.Minute)
		if got := kid(t, login(t, i)); got == before {
			t.Error("when the store is back, the old key signs on")
		}
	})
}

func TestTheStoreHoldsNoKeyThatCanBeRead(t *testing.T) {
	store := new(refreshtest.FaultyStore)
	i := newIssuer()
	i.Store, i.Secret = store, make([]byte, 32)
	tok := login(t, i)
	keys := make(map[string]bool)
	for _, c := range store.Calls() {
		if !c.Swap {
			continue
		}
		keys[c.Key] = true
		v := string(c.New)
		if strings.HasPrefix(c.Key, "local.keys.") && (strings.Contains(v, "private") || json.Valid([]byte(v))) {
			t.Error("the keys are there to read")
		}
		if strings.Contains(v, tok.Access[len(tok.Access)-12:]) || strings.Contains(v, tok.Refresh[26:38]) {
			t.Error("a token is there to read")
		}
	}
	if len(keys) < 3 {
		t.Errorf("%d values", len(keys))
	}
}
