package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/middlewaretest"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh/local"
)

// accountClaims are an API's own, beside the registered ones.
type accountClaims struct {
	Tenant string `json:"tenant"`
}

// hasTenant refuses the tokens of users without a tenant.
func hasTenant(t *verify.Token) error {
	var claims accountClaims
	if err := t.Claims(&claims); err != nil || claims.Tenant == "" {
		return errors.New("no tenant")
	}
	return nil
}

// With go-jwt-middleware, an API has a provider of key sets, a validator with
// custom claims, and CheckJWT. Here it has an Issuer with a Check, and Require.
func ExampleAuth_Require_fromGoJWTMiddleware() {
	provider := &local.Issuer{ // in the place of a real one
		URL:      "https://login.example/",
		Audience: []string{"api"},
		Claims: func(_ context.Context, subject string) (map[string]any, error) {
			if subject == "ann" {
				return map[string]any{"tenant": "t1"}, nil
			}
			return nil, nil
		},
	}

	tokens, err := verify.New(verify.Issuer{
		URL:      "https://login.example/", // to the letter what the tokens have as iss
		Audience: []string{"api"},
		Check:    hasTenant,     // func(*verify.Token) error, in the place of CustomClaims.Validate
		Keys:     provider.JWKS, // leave it out, and the keys are found by discovery
	})
	if err != nil {
		panic(err)
	}
	auth := &middleware.Auth{Verifier: tokens}
	handler := auth.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := middleware.FromContext(r.Context())
		claims, _ := middleware.Claims[accountClaims](r.Context())
		fmt.Fprint(w, token.Subject, " of ", claims.Tenant)
	}))

	defer tokens.Close()
	for _, user := range []string{"ann", "bob"} {
		login, err := provider.Login(context.Background(), user)
		if err != nil {
			panic(err)
		}
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", "Bearer "+login.Access)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Body)
	}
	// Output:
	// 200 ann of t1
	// 401 {"title":"Unauthorized","status":401}
}

// With jwtauth, a service signs tokens with a secret of its own, and verifies
// them in two steps, Verifier and Authenticator. Here it has a local.Issuer,
// which makes its keys, and one step, which a chi router takes as
// r.Use(auth.Require).
func ExampleAuth_Require_fromJWTAuth() {
	issuer := &local.Issuer{
		URL:      "https://shop.example",
		Audience: []string{"shop"},
		Claims: func(_ context.Context, subject string) (map[string]any, error) {
			return map[string]any{"role": "admin"}, nil // as the database has it
		},
	}
	tokens, err := verify.New(verify.Issuer{URL: issuer.URL, Keys: issuer.JWKS, Audience: issuer.Audience})
	if err != nil {
		panic(err)
	}
	auth := &middleware.Auth{Verifier: tokens, Refresher: issuer}

	site := http.NewServeMux()
	site.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		login, err := issuer.Login(r.Context(), "123") // after checking the password
		if err == nil {
			err = auth.SignIn(w, r, login)
		}
		if err != nil {
			middleware.WriteError(w, r, err)
		}
	})
	site.Handle("GET /admin", auth.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, _ := middleware.Claims[map[string]any](r.Context())
		fmt.Fprint(w, claims["sub"], " is ", claims["role"])
	})))

	defer tokens.Close()
	defer auth.Close()
	w := httptest.NewRecorder()
	site.ServeHTTP(w, httptest.NewRequest("POST", "/login", nil))
	r := httptest.NewRequest("GET", "/admin", nil)
	middlewaretest.Keep(r, w.Result())
	w = httptest.NewRecorder()
	site.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)
	// Output: 200 123 is admin
}

// While clients change over, the tokens of before, signed with a shared secret,
// are good as well. The new verifier is asked first, and has the last word on
// the tokens of its own issuers.
func ExampleVerifierFunc_changeOver() {
	p := new(middlewaretest.Provider) // in the place of a real one
	defer p.Close()
	secret := []byte("0123456789abcdef0123456789abcdef")
	former := jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired())

	auth := &middleware.Auth{Verifier: middleware.VerifierFunc(func(ctx context.Context, raw string) (*verify.Token, error) {
		token, err := p.Verify(ctx, raw) // tokens.Verify, of a *verify.JWT
		if !errors.Is(err, verify.ErrInvalid) {
			return token, err
		}
		var claims jwt.RegisteredClaims
		if _, formerErr := former.ParseWithClaims(raw, &claims, func(*jwt.Token) (any, error) {
			return secret, nil
		}); formerErr != nil || claims.Subject == "" {
			return nil, err
		}
		return &verify.Token{Raw: raw, Subject: claims.Subject, Expiry: claims.ExpiresAt.Time}, nil
	})}
	handler := auth.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := middleware.FromContext(r.Context())
		fmt.Fprint(w, "hello ", token.Subject)
	}))

	inAnHour := jwt.NewNumericDate(time.Now().Add(time.Hour))
	old, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{Subject: "ann", ExpiresAt: inAnHour}).SignedString(secret)
	if err != nil {
		panic(err)
	}
	for _, token := range []string{old, p.Token(map[string]any{"sub": "bob"}), old + "A"} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Body)
	}
	// Output:
	// 200 hello ann
	// 200 hello bob
	// 401 {"title":"Unauthorized","status":401}
}
