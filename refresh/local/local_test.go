package local_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"

	_ "github.com/tokenlife/tokenlife/internal/race"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/event"
	"github.com/tokenlife/tokenlife/refresh/local"
	"github.com/tokenlife/tokenlife/refresh/sessions"
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

	// The answer may have been lost, and the browser comes once more.
	again, err := issuer.Refresh(ctx, first)
	fmt.Println("the same successor:", again == second, err)

	logins, err := issuer.Logins(ctx, "alice")
	fmt.Println("logins:", len(logins), err)
	err = issuer.EndAll(ctx, "alice")
	fmt.Println("signed out everywhere:", err)
	_, err = issuer.Refresh(ctx, second)
	fmt.Println("over:", errors.Is(err, refresh.ErrDenied))
	// Output:
	// rotated: true <nil>
	// the same successor: true <nil>
	// logins: 1 <nil>
	// signed out everywhere: <nil>
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
	got, err := jwt.Parse(raw, keys.Keyfunc, jwt.WithValidMethods([]string{"RS256", "ES256", "EdDSA"}),
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
	for _, name := range []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "sid", "SUB", "Exp"} {
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

func TestReuseEndsTheLoginAndIsTold(t *testing.T) {
	for name, give := range map[string]func(*local.Issuer, event.Hook){
		"to its own hook":        func(i *local.Issuer, h event.Hook) { i.Observe = h },
		"to the hook of an Auth": (*local.Issuer).ObserveDefault,
	} {
		t.Run(name, func(t *testing.T) { reuseIsTold(t, give) })
	}
}

func reuseIsTold(t *testing.T, give func(*local.Issuer, event.Hook)) {
	synctest.Test(t, func(t *testing.T) {
		var events []event.Event
		i := newIssuer()
		give(i, func(_ context.Context, e event.Event) { events = append(events, e) })
		first, err := i.LoginOn(t.Context(), "alice", "a laptop")
		if err != nil {
			t.Fatal(err)
		}
		second, err := i.Refresh(t.Context(), first)
		if err != nil {
			t.Fatal(err)
		}
		if err := i.Arrived(t.Context(), second.Access); err != nil {
			t.Fatal(err)
		}
		time.Sleep(29 * time.Second)
		if again, err := i.Refresh(t.Context(), first); err != nil || again != second {
			t.Errorf("within the grace: %v, or another successor", err)
		}
		time.Sleep(time.Second)
		for _, tok := range []refresh.Tokens{first, second} {
			if _, err := i.Refresh(t.Context(), tok); !errors.Is(err, refresh.ErrDenied) || !strings.HasPrefix(err.Error(), "local: ") {
				t.Errorf("after it: %v, want ErrDenied", err)
			}
		}
		if len(events) != 1 || events[0].Kind != event.HandleReused || events[0].Subject != "alice" || events[0].Device != "a laptop" {
			t.Errorf("events: %+v", events)
		}
	})
}

func TestLoginsAreListedAndEnded(t *testing.T) {
	i := newIssuer()
	one, two, three := login(t, i), login(t, i), login(t, i)
	current := parse(t, i, two.Access).Claims.(jwt.MapClaims)["sid"]
	logins, err := i.Logins(t.Context(), "alice")
	if err != nil || len(logins) != 3 {
		t.Fatalf("%d logins, %v", len(logins), err)
	}
	n := slices.IndexFunc(logins, func(l sessions.Login) bool { return l.Session == current })
	if n < 0 || logins[n].ID != sessions.ID(two) {
		t.Fatal("the claim sid does not tell the login")
	}
	if err := i.End(t.Context(), "alice", sessions.ID(one)); err != nil {
		t.Fatal(err)
	}
	if err := i.End(t.Context(), "bob", sessions.ID(two)); !errors.Is(err, refresh.ErrNotFound) {
		t.Errorf("somebody else's: %v, want ErrNotFound", err)
	}
	if err := i.EndAll(t.Context(), "alice", logins[n].ID); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		tok  refresh.Tokens
		good bool
	}{"the first": {one, false}, "the second": {two, true}, "the third": {three, false}} {
		next, err := i.Refresh(t.Context(), c.tok)
		if good := err == nil; good != c.good {
			t.Errorf("%s: %v", name, err)
		}
		if c.good && parse(t, i, next.Access).Claims.(jwt.MapClaims)["sid"] != current {
			t.Error("a refresh changes the claim sid")
		}
	}
}

func TestRevoke(t *testing.T) {
	i := newIssuer()
	for name, which := range map[string]func(first, second refresh.Tokens) refresh.Tokens{
		"the current token": func(_, second refresh.Tokens) refresh.Tokens { return second },
		"the one before":    func(first, _ refresh.Tokens) refresh.Tokens { return first },
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
	for _, unknown := range []string{"", "x", strings.Repeat("A", 26) + strings.Repeat("A", 43)} {
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
		{"a negative login", "Absolute", &local.Issuer{URL: "https://shop.test", Audience: []string{"a"}, Absolute: -time.Second}},
		{"a negative idle time", "Idle", &local.Issuer{URL: "https://shop.test", Audience: []string{"a"}, Idle: -time.Second}},
		{"an unknown algorithm", "Algorithm", &local.Issuer{URL: "https://shop.test", Audience: []string{"a"}, Algorithm: "HS256"}},
		{"keys for minutes", "RotateEvery", &local.Issuer{URL: "https://shop.test", Audience: []string{"a"}, RotateEvery: time.Minute}},
		{"a short secret", "Secret", &local.Issuer{URL: "https://shop.test", Audience: []string{"a"}, Secret: []byte("short"), Store: new(refresh.MemoryStore)}},
		{"a secret and no store", "Secret", &local.Issuer{URL: "https://shop.test", Audience: []string{"a"}, Secret: make([]byte, 32)}},
		{"no key", "Signers[0]", &local.Issuer{URL: "https://shop.test", Audience: []string{"a"}, Signers: []crypto.Signer{nil}}},
		{"keys of both kinds", "Signers", &local.Issuer{URL: "https://shop.test", Audience: []string{"a"}, Signers: []crypto.Signer{ed25519.NewKeyFromSeed(make([]byte, 32))}, Algorithm: "EdDSA"}},
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
		h.Get("Cache-Control") != "public, max-age=300" || h.Get("Etag") == "" || h.Get("X-Content-Type-Options") != "nosniff" {
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

func TestNoIssuerIsNamed(t *testing.T) {
	var none *local.Issuer
	if err := (&refresh.Coordinator{Refresher: none}).Validate(); err == nil || err.Error() != "local: the Issuer is nil" {
		t.Errorf("Validate = %v", err)
	}
}
