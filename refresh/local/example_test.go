package local_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"net/http/httptest"

	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/local"
	"github.com/tokenlife/tokenlife/refresh/sessions"
)

// Who has checked a password signs the user in, and the tokens are verified like
// those of any provider.
func ExampleIssuer_Login() {
	issuer := &local.Issuer{
		URL:      "https://shop.example",
		Audience: []string{"shop"},
		Claims: func(context.Context, string) (map[string]any, error) {
			return map[string]any{"scope": "orders:read orders:write"}, nil
		},
	}
	login, err := issuer.Login(context.Background(), "alice")
	if err != nil {
		fmt.Println(err)
		return
	}
	verifier, err := verify.New(verify.Issuer{URL: issuer.URL, Keys: issuer.JWKS, Audience: issuer.Audience})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer verifier.Close()
	token, err := verifier.Verify(context.Background(), login.Access)
	fmt.Println(token.Subject, token.Scopes, err)
	// Output: alice [orders:read orders:write] <nil>
}

// Other services verify the tokens with the keys that this one publishes.
func ExampleIssuer_Keys() {
	issuer := &local.Issuer{URL: "https://shop.example", Audience: []string{"shop", "billing"}}
	shop := httptest.NewServer(issuer.Keys()) // at https://shop.example/jwks.json, say
	defer shop.Close()

	billing, err := verify.New(verify.Issuer{
		URL: "https://shop.example", KeysURL: shop.URL, Audience: []string{"billing"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer billing.Close()
	login, err := issuer.Login(context.Background(), "alice")
	if err != nil {
		fmt.Println(err)
		return
	}
	token, err := billing.Verify(context.Background(), login.Access)
	fmt.Println(token.Subject, err)
	// Output: alice <nil>
}

// A restart forgets no key and no login where there is a Store, and a Secret that
// seals the keys in it.
func ExampleIssuer_secret() {
	store := new(refresh.MemoryStore) // in earnest a sqlstore or a redisstore
	start := func() *local.Issuer {
		return &local.Issuer{
			URL:      "https://shop.example",
			Audience: []string{"shop"},
			Store:    store,
			Secret:   bytes.Repeat([]byte("s"), 32), // 32 random bytes in earnest
		}
	}
	before, err := start().JWKS(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	after, err := start().JWKS(context.Background())
	fmt.Println(bytes.Equal(before, after), err)
	// Output: true <nil>
}

// Keys of one's own, from a file or a device: the first signs, and the next one is
// published before it does.
func ExampleIssuer_signers() {
	today := ed25519.NewKeyFromSeed(bytes.Repeat([]byte("1"), ed25519.SeedSize))
	tomorrow := ed25519.NewKeyFromSeed(bytes.Repeat([]byte("2"), ed25519.SeedSize))
	issuer := &local.Issuer{
		URL:      "https://shop.example",
		Audience: []string{"shop"},
		Signers:  []crypto.Signer{today, tomorrow},
	}
	document, err := issuer.JWKS(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	var set struct {
		Keys []struct {
			Kty, Crv, Alg string
		}
	}
	fmt.Println(json.Unmarshal(document, &set), set.Keys)
	// Output: <nil> [{OKP Ed25519 EdDSA} {OKP Ed25519 EdDSA}]
}

// A user looks at their devices, and signs out on all but the one in their hand.
func ExampleIssuer_EndAll() {
	issuer := &local.Issuer{URL: "https://shop.example", Audience: []string{"shop"}}
	ctx := context.Background()
	var here refresh.Tokens
	for _, device := range []string{"Firefox on Linux", "Safari on iPhone"} {
		var err error
		if here, err = issuer.LoginOn(ctx, "alice", device); err != nil {
			fmt.Println(err)
			return
		}
	}
	if err := issuer.EndAll(ctx, "alice", sessions.ID(here)); err != nil {
		fmt.Println(err)
	}
	logins, err := issuer.Logins(ctx, "alice")
	for _, login := range logins {
		fmt.Println(login.Device)
	}
	fmt.Println(err)
	// Output:
	// Safari on iPhone
	// <nil>
}

func ExampleIssuer_Validate() {
	issuer := &local.Issuer{URL: "https://shop.example"}
	fmt.Println(issuer.Validate())
	// Output: local: Issuer.Audience is empty or has an empty name
}
