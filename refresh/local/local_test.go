package local_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/local"
)

func ExampleIssuer() {
	issuer := &local.Issuer{URL: "https://shop.example", Audience: []string{"shop"}}
	ctx := context.Background()

	first, err := issuer.Login(ctx, "alice")
	if err != nil {
		fmt.Println(err)
		return
	}
	second, err := issuer.Refresh(ctx, first)
	fmt.Println("rotated:", second.Refresh != first.Refresh, err)

	// Whoever comes with the first one now has it from somewhere else.
	_, err = issuer.Refresh(ctx, first)
	fmt.Println("reused:", errors.Is(err, refresh.ErrDenied))
	_, err = issuer.Refresh(ctx, second)
	fmt.Println("over:", errors.Is(err, refresh.ErrDenied))
	// Output:
	// rotated: true <nil>
	// reused: true
	// over: true
}

func ExampleIssuer_claims() {
	issuer := &local.Issuer{
		URL:      "https://shop.example",
		Audience: []string{"shop"},
		Claims: func(_ context.Context, subject string) (map[string]any, error) {
			if subject == "mallory" {
				return nil, fmt.Errorf("the account is closed: %w", refresh.ErrDenied)
			}
			return map[string]any{"scope": "orders:read orders:write"}, nil
		},
	}
	_, err := issuer.Login(context.Background(), "mallory")
	fmt.Println(err)
	// Output: local: Issuer.Claims: the account is closed: refresh: the login is over
}

func newIssuer() *local.Issuer {
	return &local.Issuer{URL: "https://shop.test", Audience: []string{"shop", "api"}}
}

func login(t *testing.T, i *local.Issuer) refresh.Tokens {
	t.Helper()
	tok, err := i.Login(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// parse verifies an access token as another service would.
func parse(t *testing.T, i *local.Issuer, raw string) *jwt.Token {
	t.Helper()
	jwks, err := i.JWKS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	keys, err := keyfunc.NewJWKSetJSON(jwks)
	if err != nil {
		t.Fatal(err)
	}
	got, err := jwt.Parse(raw, keys.Keyfunc, jwt.WithValidMethods([]string{"ES256"}),
		jwt.WithIssuer(i.URL), jwt.WithAudience(i.Audience...), jwt.WithExpirationRequired(), jwt.WithIssuedAt())
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestAccessTokensAreThoseOfRFC9068(t *testing.T) {
	i := newIssuer()
	i.Claims = func(_ context.Context, subject string) (map[string]any, error) {
		return map[string]any{"scope": "a b", "name": "Name of " + subject}, nil
	}
	first := login(t, i)
	second, err := i.Refresh(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[any]bool{}
	for _, tok := range []refresh.Tokens{first, second} {
		got := parse(t, i, tok.Access)
		claims := got.Claims.(jwt.MapClaims)
		if got.Header["typ"] != "at+jwt" || claims["sub"] != "alice" || claims["client_id"] != i.URL ||
			claims["scope"] != "a b" || claims["name"] != "Name of alice" {
			t.Errorf("the token says %v %v", got.Header, claims)
		}
		ends, err := claims.GetExpirationTime()
		if err != nil || !ends.Time.Equal(tok.Expiry) {
			t.Errorf("it ends at %v, %v, and the tokens say %v", ends, err, tok.Expiry)
		}
		if seen[claims["jti"]] || claims["jti"] == "" {
			t.Error("two tokens have one jti")
		}
		seen[claims["jti"]] = true
	}
}

func TestRegisteredClaimsCannotBeReplaced(t *testing.T) {
	for _, name := range []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "SUB", "Exp"} {
		i := newIssuer()
		i.Claims = func(context.Context, string) (map[string]any, error) { return map[string]any{name: "x"}, nil }
		if _, err := i.Login(t.Context(), "alice"); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error is %v, want one that names it", name, err)
		}
	}
}

func TestLifetimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer()
		tok := login(t, i)
		begin := time.Now()
		ends := begin.Add(30 * 24 * time.Hour)
		for n := range 30 {
			if left := time.Until(tok.Expiry); left != 5*time.Minute || !tok.RefreshExpiry.Equal(ends) {
				t.Fatalf("after %d days: %v left, the login until %v, want 5m and %v", n, left, tok.RefreshExpiry, ends)
			}
			if n == 29 {
				break
			}
			time.Sleep(24 * time.Hour)
			next, err := i.Refresh(t.Context(), tok)
			if err != nil {
				t.Fatalf("after %d days: %v", n+1, err)
			}
			tok = next
		}
		time.Sleep(24 * time.Hour)
		if _, err := i.Refresh(t.Context(), tok); !errors.Is(err, refresh.ErrDenied) {
			t.Errorf("after 30 days: %v, want ErrDenied: refreshes do not prolong a login", err)
		}
	})
}

func TestARefreshTokenThatIsNotCurrentEndsTheLogin(t *testing.T) {
	for _, c := range []struct {
		name string
		bad  func(first, current refresh.Tokens) string
		ends bool
	}{
		{"an older one", func(first, _ refresh.Tokens) string { return first.Refresh }, true},
		{"a guess at the secret", func(_, current refresh.Tokens) string {
			return current.Refresh[:27] + strings.Repeat("A", 43)
		}, true},
		{"nothing", func(_, _ refresh.Tokens) string { return "" }, false},
		{"the ID alone", func(_, current refresh.Tokens) string { return current.Refresh[:27] }, false},
		{"another ID", func(_, current refresh.Tokens) string {
			return strings.Repeat("A", 26) + current.Refresh[26:]
		}, false},
		{"an ID that is none", func(_, current refresh.Tokens) string {
			return strings.Repeat("*", 26) + current.Refresh[26:]
		}, false},
		{"something long", func(_, current refresh.Tokens) string { return current.Refresh + "A" }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			i := newIssuer()
			first := login(t, i)
			current, err := i.Refresh(t.Context(), first)
			if err != nil {
				t.Fatal(err)
			}
			other := login(t, i)
			bad := c.bad(first, current)
			_, err = i.Refresh(t.Context(), refresh.Tokens{Refresh: bad})
			if !errors.Is(err, refresh.ErrDenied) || !strings.HasPrefix(err.Error(), "local: ") {
				t.Errorf("error is %v, want ErrDenied", err)
			}
			silent(t, err, bad, current.Refresh)
			_, err = i.Refresh(t.Context(), current)
			if ended := errors.Is(err, refresh.ErrDenied); ended != c.ends {
				t.Errorf("the login ended: %t, want %t: %v", ended, c.ends, err)
			}
			if _, err := i.Refresh(t.Context(), other); err != nil {
				t.Errorf("another login of the same subject: %v", err)
			}
		})
	}
}

func silent(t *testing.T, err error, secrets ...string) {
	t.Helper()
	for _, secret := range secrets {
		for n := 0; n+12 <= len(secret); n++ {
			if strings.Contains(err.Error(), secret[n:n+12]) {
				t.Fatalf("an error shows 12 characters of a secret: %v", err)
			}
		}
	}
}

func TestRevoke(t *testing.T) {
	i := newIssuer()
	for name, which := range map[string]func(first, second refresh.Tokens) refresh.Tokens{
		"the current token": func(_, second refresh.Tokens) refresh.Tokens { return second },
		"an older token":    func(first, _ refresh.Tokens) refresh.Tokens { return first },
	} {
		first := login(t, i)
		second, err := i.Refresh(t.Context(), first)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := i.Revoke(t.Context(), which(first, second)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := i.Refresh(t.Context(), second); !errors.Is(err, refresh.ErrDenied) {
			t.Errorf("%s: after it: %v, want ErrDenied", name, err)
		}
	}
	for _, unknown := range []string{"", "x", strings.Repeat("A", 26) + "." + strings.Repeat("A", 43)} {
		if err := i.Revoke(t.Context(), refresh.Tokens{Refresh: unknown}); err != nil {
			t.Errorf("%q: %v", unknown, err)
		}
	}
}

func TestIssuerMustBeConfigured(t *testing.T) {
	for _, c := range []struct {
		name, want string
		issuer     *local.Issuer
	}{
		{"no URL", "URL", &local.Issuer{Audience: []string{"a"}}},
		{"no absolute URL", "URL", &local.Issuer{URL: "shop", Audience: []string{"a"}}},
		{"no audience", "Audience", &local.Issuer{URL: "https://shop.test"}},
		{"an empty audience", "Audience", &local.Issuer{URL: "https://shop.test", Audience: []string{""}}},
		{"part of a second", "Life", &local.Issuer{URL: "https://shop.test", Audience: []string{"a"}, Life: 1500 * time.Millisecond}},
		{"a negative life", "Life", &local.Issuer{URL: "https://shop.test", Audience: []string{"a"}, Life: -time.Second}},
		{"a negative login", "RefreshLife", &local.Issuer{URL: "https://shop.test", Audience: []string{"a"}, RefreshLife: -time.Second}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, login := c.issuer.Login(t.Context(), "alice")
			_, renewed := c.issuer.Refresh(t.Context(), refresh.Tokens{Refresh: "x"})
			_, keys := c.issuer.JWKS(t.Context())
			for _, err := range []error{c.issuer.Validate(), login, renewed, keys, c.issuer.Revoke(t.Context(), refresh.Tokens{})} {
				if err == nil || !strings.HasPrefix(err.Error(), "local: Issuer."+c.want) || errors.Is(err, refresh.ErrDenied) {
					t.Errorf("error is %v, want one that names %s", err, c.want)
				}
			}
			if rec := serve(c.issuer, http.MethodGet, ""); rec.Code != http.StatusInternalServerError {
				t.Errorf("its keys are served: %d", rec.Code)
			}
		})
	}
	if _, err := newIssuer().Login(t.Context(), ""); err == nil {
		t.Error("an empty subject has signed in")
	}
}

func serve(i *local.Issuer, method, etag string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/jwks", nil)
	if etag != "" {
		r.Header.Set("If-None-Match", etag)
	}
	rec := httptest.NewRecorder()
	i.Keys().ServeHTTP(rec, r)
	return rec
}

func TestKeysAreServedWithCachingHeaders(t *testing.T) {
	i := newIssuer()
	jwks, err := i.JWKS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rec := serve(i, http.MethodGet, "")
	body, _ := io.ReadAll(rec.Body)
	h := rec.Result().Header
	if rec.Code != 200 || string(body) != string(jwks) || h.Get("Content-Type") != "application/jwk-set+json" ||
		h.Get("Cache-Control") != "public, max-age=60" || h.Get("Etag") == "" {
		t.Errorf("%d %v %s", rec.Code, h, body)
	}
	if strings.Contains(string(body), `"d"`) {
		t.Error("the private key is served")
	}
	if again := serve(i, http.MethodGet, h.Get("Etag")); again.Code != http.StatusNotModified || again.Body.Len() != 0 {
		t.Errorf("the same again: %d, want 304", again.Code)
	}
	if head := serve(i, http.MethodHead, ""); head.Code != 200 || head.Body.Len() != 0 {
		t.Errorf("HEAD: %d", head.Code)
	}
	if post := serve(i, http.MethodPost, ""); post.Code != http.StatusMethodNotAllowed || post.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d", post.Code)
	}
	jwks[0] = 'x'
	if after, _ := i.JWKS(t.Context()); after[0] != '{' {
		t.Error("a caller can change the keys")
	}
}
