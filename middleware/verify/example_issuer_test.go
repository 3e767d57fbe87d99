package verify_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh/event"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// exampleIssuer returns the issuer of the examples, with its own key.
func exampleIssuer() verify.Issuer {
	return verify.Issuer{
		URL:      exampleURL,
		Audience: []string{"https://api.example.com"},
		Keys:     func(context.Context) ([]byte, error) { return []byte(exampleKeys), nil },
	}
}

// Two issuers, such as one for customers and one for the staff. Keys are found
// by discovery.
func ExampleNew() {
	customers, staff := new(refreshtest.Provider), new(refreshtest.Provider) // stand for yours
	for _, provider := range []*refreshtest.Provider{customers, staff} {
		srv := refreshtest.NewServer(provider)
		defer srv.Close()
	}
	tokens, err := verify.New(
		verify.Issuer{URL: customers.URL(""), Audience: []string{"api"}},
		verify.Issuer{URL: staff.URL(""), Audience: []string{"api"}},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer tokens.Close()
	for _, raw := range []string{customers.Login("ann").Access, staff.Login("bob").Access} {
		token, err := tokens.Verify(context.Background(), raw)
		fmt.Println(token.Subject, token.Issuer == staff.URL(""), err)
	}
	// Output:
	// ann false <nil>
	// bob true <nil>
}

// A key set at an address of its own, for issuers without discovery.
func ExampleIssuer() {
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, exampleKeys)
	}))
	defer keys.Close()
	tokens, err := verify.New(verify.Issuer{
		URL:         exampleURL,
		KeysURL:     keys.URL,
		Audience:    []string{"https://api.example.com"},
		Algorithms:  []string{"EdDSA"},
		Types:       []string{"JWT"},
		GroupsClaim: "roles",
		Leeway:      10 * time.Second,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer tokens.Close()
	token, err := tokens.Verify(context.Background(), exampleToken(jwt.MapClaims{
		"iss": exampleURL, "sub": "ada", "aud": "https://api.example.com", "roles": []string{"admin"},
		"exp": time.Now().Add(5 * time.Minute).Unix(),
	}))
	fmt.Println(token.Subject, token.HasGroup("admin"), err)
	// Output: ada true <nil>
}

// Check adds a rule for which an Issuer has no field.
func ExampleIssuer_check() {
	issuer := exampleIssuer()
	issuer.Check = func(t *verify.Token) error {
		var c struct {
			Verified bool `json:"email_verified"`
		}
		if err := t.Claims(&c); err != nil {
			return err
		}
		if !c.Verified {
			return errors.New("the address has not been verified")
		}
		return nil
	}
	tokens, err := verify.New(issuer)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer tokens.Close()
	for _, verified := range []bool{true, false} {
		_, err := tokens.Verify(context.Background(), exampleToken(jwt.MapClaims{
			"iss": exampleURL, "sub": "ada", "aud": "https://api.example.com",
			"exp": time.Now().Add(5 * time.Minute).Unix(), "email_verified": verified,
		}))
		fmt.Println(errors.Is(err, verify.ErrInvalid), err)
	}
	// Output:
	// false <nil>
	// true verify: token refused: check: the address has not been verified
}

// Claims reads the claims for which a Token has no field.
func ExampleToken_Claims() {
	tokens, err := verify.New(exampleIssuer())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer tokens.Close()
	token, err := tokens.Verify(context.Background(), exampleToken(jwt.MapClaims{
		"iss": exampleURL, "sub": "ada", "aud": "https://api.example.com",
		"exp": time.Now().Add(5 * time.Minute).Unix(), "tenant": map[string]any{"id": 7, "plan": "paid"},
	}))
	if err != nil {
		fmt.Println(err)
		return
	}
	var c struct {
		Tenant struct {
			ID   int    `json:"id"`
			Plan string `json:"plan"`
		} `json:"tenant"`
	}
	err = token.Claims(&c)
	fmt.Println(c.Tenant.ID, c.Tenant.Plan, err)
	// Output: 7 paid <nil>
}

// An error decides between signing in again, refreshing, and trying again
// later.
func ExampleJWT_Verify_errors() {
	issuer := exampleIssuer()
	tokens, err := verify.New(issuer, verify.Issuer{
		URL: "https://down.example.com", Audience: issuer.Audience,
		Keys: func(context.Context) ([]byte, error) { return nil, errors.New("no answer") },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer tokens.Close()
	claims := jwt.MapClaims{"sub": "ada", "aud": "https://api.example.com"}
	for _, c := range []struct {
		issuer string
		end    time.Duration
	}{
		{exampleURL, time.Minute},
		{exampleURL, -time.Hour},
		{"https://unknown.example.com", time.Minute},
		{"https://down.example.com", time.Minute},
	} {
		claims["iss"], claims["exp"] = c.issuer, time.Now().Add(c.end).Unix()
		switch _, err := tokens.Verify(context.Background(), exampleToken(claims)); {
		case err == nil:
			fmt.Println("good")
		case errors.Is(err, verify.ErrExpired):
			fmt.Println("refresh it")
		case errors.Is(err, verify.ErrInvalid):
			fmt.Println("sign in anew")
		default:
			fmt.Println("try again later")
		}
	}
	// Output:
	// good
	// refresh it
	// sign in anew
	// try again later
}

// The claims of an expired token can be trusted if its issuer has signed it.
func ExampleJWT_VerifyExpired() {
	tokens, err := verify.New(exampleIssuer())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer tokens.Close()
	old := exampleToken(jwt.MapClaims{
		"iss": exampleURL, "sub": "ada", "aud": "https://api.example.com",
		"iat": time.Date(2024, time.May, 1, 12, 0, 0, 0, time.UTC).Unix(),
		"exp": time.Date(2024, time.May, 1, 12, 5, 0, 0, time.UTC).Unix(),
	})
	token, err := tokens.VerifyExpired(context.Background(), old)
	fmt.Println(token.Subject, token.IssuedAt.UTC(), err)
	// Output: ada 2024-05-01 12:00:00 +0000 UTC <nil>
}

// Observe is told of each fetch of a key set.
func ExampleJWT_observe() {
	tokens, err := verify.New(exampleIssuer())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer tokens.Close()
	tokens.Observe = func(_ context.Context, e event.Event) {
		fmt.Println(e.Level, e.Kind, e.Issuer, e.Keys) // or slog.Log(ctx, e.Level, string(e.Kind), "keys", e)
	}
	for range 2 { // the second time, they are known
		_, err = tokens.Verify(context.Background(), exampleToken(jwt.MapClaims{
			"iss": exampleURL, "sub": "ada", "aud": "https://api.example.com",
			"exp": time.Now().Add(5 * time.Minute).Unix(),
		}))
		fmt.Println(err)
	}
	// Output:
	// DEBUG keys_fetched https://accounts.example.com 1
	// <nil>
	// <nil>
}
