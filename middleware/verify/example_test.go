package verify_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/tokenlife/tokenlife/middleware/verify"
)

// An issuer with one key, for the examples. Signing is golang-jwt's.
const (
	exampleKeys = `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"2026-01","alg":"EdDSA","use":"sig","x":"EVkPymriSR39xqCcfKWYzEgb4VtOsSFXVAXCB6ZhVwc"}]}`
	exampleURL  = "https://accounts.example.com"
)

var examplePrivate = ed25519.NewKeyFromSeed([]byte("an example key, and not a secret"))

func exampleToken(claims jwt.MapClaims) string {
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims)
	token.Header["kid"] = "2026-01"
	raw, err := token.SignedString(examplePrivate)
	if err != nil {
		panic(err)
	}
	return raw
}

func ExampleJWT_Verify() {
	tokens, err := verify.New(verify.Issuer{
		URL:      exampleURL,
		Audience: []string{"https://api.example.com"},
		// Keys at hand in the process, as this example has no network. Without
		// Keys and KeysURL they are found by discovery.
		Keys: func(context.Context) ([]byte, error) { return []byte(exampleKeys), nil },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer tokens.Close()

	claims := jwt.MapClaims{
		"iss": exampleURL, "sub": "ada", "aud": "https://api.example.com",
		"scope": "read write", "exp": time.Now().Add(5 * time.Minute).Unix(), "plan": "paid",
	}
	token, err := tokens.Verify(context.Background(), exampleToken(claims))
	fmt.Println(token.Subject, token.Scopes, token.HasScope("write"), err)

	var more struct {
		Plan string `json:"plan"`
	}
	fmt.Println(token.Claims(&more), more.Plan)

	claims["aud"] = "https://other.example.com"
	_, err = tokens.Verify(context.Background(), exampleToken(claims))
	fmt.Println(err, errors.Is(err, verify.ErrInvalid))

	claims["aud"], claims["exp"] = "https://api.example.com", time.Now().Add(-time.Hour).Unix()
	token, err = tokens.Verify(context.Background(), exampleToken(claims))
	fmt.Println(err, "of", token.Subject)
	// Output:
	// ada [read write] true <nil>
	// <nil> paid
	// verify: token refused: aud is "https://other.example.com", want "https://api.example.com" (Issuer.Audience) true
	// verify: token expired of ada
}

func ExampleNew_mistake() {
	_, err := verify.New(verify.Issuer{URL: exampleURL})
	fmt.Println(err)
	// Output:
	// verify: issuer https://accounts.example.com: Audience is empty, and SkipAudienceCheck is not set
}

func ExampleCognito() {
	tokens, err := verify.New(verify.Cognito("eu-west-1", "eu-west-1_AbCdEfGhI", "1h57kf5cpq17m0eml12EXAMPLE"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer tokens.Close()
	// tokens.Verify accepts the pool's access tokens for this app client.
	_, err = tokens.Verify(context.Background(), "not a token")
	fmt.Println(err)
	// Output:
	// verify: token refused: not three parts: it is no JWT, but may be good for an Introspection or a UserInfo in place of the JWT
}

func ExampleJWT_lookup() {
	tenants := map[string]string{exampleURL: "https://api.example.com/tenant-1"}
	tokens := &verify.JWT{
		Lookup: func(_ context.Context, issuer string) (verify.Issuer, error) {
			audience, ok := tenants[issuer]
			if !ok {
				return verify.Issuer{}, fmt.Errorf("no tenant has this issuer: %w", verify.ErrInvalid)
			}
			return verify.Issuer{
				URL:      issuer,
				Audience: []string{audience},
				Keys:     func(context.Context) ([]byte, error) { return []byte(exampleKeys), nil },
			}, nil
		},
	}
	defer tokens.Close()

	claims := jwt.MapClaims{
		"iss": exampleURL, "sub": "ada", "aud": "https://api.example.com/tenant-1",
		"exp": time.Now().Add(5 * time.Minute).Unix(),
	}
	token, err := tokens.Verify(context.Background(), exampleToken(claims))
	fmt.Println(token.Issuer, err)

	claims["iss"] = "https://unknown.example.com"
	_, err = tokens.Verify(context.Background(), exampleToken(claims))
	fmt.Println(errors.Is(err, verify.ErrInvalid))
	// Output:
	// https://accounts.example.com <nil>
	// true
}
