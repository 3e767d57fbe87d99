package leak

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/oauth2"

	"github.com/tokenlife/tokenlife/cookies"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
	"github.com/tokenlife/tokenlife/refresh/sessions"
)

// Each shape is tried with what is really given out, and with what comes near.
// Nothing of these is printed: they would be found.
func TestShapes(t *testing.T) {
	t.Parallel()
	provider := new(refreshtest.Provider)
	tokens := provider.Login("ann")
	random := digits(oauth2.GenerateVerifier)
	handles := newHandles(t, tokens)
	ring, err := cookies.NewKeyRing(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	sealed := ring.Seal("refreshToken", []byte("always the same value"))
	parts := strings.Split(tokens.Access, ".")
	half := parts[0] + "." + parts[1]
	header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"dir","enc":"A256GCM"}`))
	jwe := header + ".." + random[:16] + "." + random + "." + random[:22]
	hex64 := hex.EncodeToString(bytes.Repeat([]byte{0x8f, 0x1d}, 16))

	const (
		jwt, refreshToken, bits = "a JWT", "a refresh token of refreshtest", "256 random bits: a verifier, state or token"
		parameter, cookie       = "a parameter", "a cookie's value"
		authorization           = "credentials of an Authorization header"
		handle, access          = "a handle of package sessions", "an access handle of package sessions"
		sealing, cookieKey      = "something that package cookies has sealed", "a key of COOKIE_KEYS"
	)
	tests := []struct {
		name, line string
		shapes     []string
	}{
		{"a token", "got " + tokens.Access, []string{jwt}},
		{"a token in quotes", fmt.Sprintf("got %q", tokens.ID), []string{jwt}},
		{"a token but for the end", "got " + half + "." + parts[2][:20] + "…", []string{jwt}},
		{"the header alone, which is no secret", "got " + parts[0], nil},
		{"a token that nobody has signed", "got " + half + ".", nil},
		{"what looks a little like a token", "eyJhbGciOiJub25lIn0.e30.AAAA", nil},
		{"an encrypted token", "got " + jwe, []string{"a JWE"}},
		{"an encrypted token without its tag", "got " + header + ".." + random[:16] + ".", nil},

		{"a private key", "-----BEGIN EC PRIVATE KEY-----", []string{"a PEM private key"}},
		{"a public key", "-----BEGIN PUBLIC KEY-----", nil},
		{"a private key of a key set", `{"kty":"EC","d":"` + random + `"}`, []string{"a private part of a JWK", bits}},
		{"a key set in a string", `{\"kty\":\"oct\",\"k\":\"` + random + `\"}`, []string{"a private part of a JWK", bits}},
		{"a public key of a key set", `{"kty":"EC","x":"` + random[:30] + `"}`, nil},

		{"a handle", "login " + handles.Refresh + " is known", []string{handle}},
		{"a handle that is cut off", "login " + handles.Refresh[:28] + " is known", nil},
		{"a name of a login, which is no secret", "login " + sessions.ID(handles), nil},
		{"an access handle", "login " + handles.Access, []string{access}},
		{"an access handle and more", "login " + handles.Access + "AAAA", nil},
		{"a sealed value", "name: " + sealed, []string{sealing}},
		{"a sealed value but for the beginning", "name: " + sealed[1:], nil},
		{"a long number", "name: 1" + strings.Repeat("0", 50), nil},
		{"a verifier", "verifier is " + random, []string{bits}},
		{"a verifier in a URL", "https://localhost/?x=" + random, []string{bits}},
		{"a name of a test", "=== RUN   TestPromise11Silence_of_all_the_things_there", nil},
		{"a checksum", hex64, nil},
		{"a token of refreshtest", "presented " + tokens.Refresh, []string{refreshToken}},
		{"a name like it", "refresh-token, refresh-ABC", nil},

		{"an answer", "Set-Cookie: __Host-accessToken=" + random[:20] + "; Path=/", []string{cookie}},
		{"a request", "map[Cookie:[a=b; __Secure-refreshToken=" + url.QueryEscape(random[:20]) + "]]", []string{cookie}},
		{"a cookie of an attempt", "Cookie: tokenLogin-0123456789ab=" + random[:20], []string{cookie}},
		{"a chunk", "idToken.1=" + random[:20], []string{cookie}},
		{"a cookie in a log", `{"accessToken":"` + random[:20] + `"}`, []string{cookie}},
		{"a cookie that is deleted", "Set-Cookie: __Host-accessToken=; Path=/; Max-Age=0", nil},
		{"a cookie that is not shown", "Set-Cookie: __Host-accessToken=eyJhb…; Path=/", nil},
		{"the marker", "Set-Cookie: tokenLife=1700000000.a1B2c3D4e5F6; Path=/", nil},

		{"a header", "Authorization: Bearer " + random[:20], []string{authorization}},
		{"a header in a log", `"Authorization":["Basic ` + random[:20] + `"]`, []string{authorization}},
		{"a challenge", `Bearer realm="api", error="invalid_token"`, nil},
		{"a sentence", "a bearer authentication", nil},

		{"a code", "GET /auth/callback?code=" + rand.Text() + "1&iss=x", []string{parameter}},
		{"a state", "?state=" + random[:20], []string{parameter}},
		{"a form", url.Values{"code_verifier": {random}}.Encode(), []string{bits, parameter}},
		{"values as Go prints them", fmt.Sprint(url.Values{"client_secret": {random[:20]}}), []string{parameter}},
		{"an answer of a token endpoint", `{"refresh_token": "` + random[:20] + `"}`, []string{parameter}},
		{"an answer in a string", `{\"refresh_token\":\"` + random[:20] + `\"}`, []string{parameter}},
		{"a URL in a URL", "return_to=%2Fcallback%3Fcode%3D" + random[:20], []string{parameter}},
		{"a name in place of a code", "?code=the-code-of-somebody", nil},
		{"a short one", "?code=abc123", nil},
		{"another parameter", "?code_challenge_method=S256&client_id=" + random[:20], nil},

		{"a key", "COOKIE_KEYS=" + hex64, []string{cookieKey}},
		{"a key's mistake", `COOKIE_KEYS: key 1 has 63 digits`, nil},
	}
	tried := map[string]bool{}
	for _, tt := range tests {
		for _, name := range tt.shapes {
			tried[name] = true
		}
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var found []string
			for _, s := range shapes {
				for line := range strings.Lines(tt.line) {
					for range s.in(strings.TrimSuffix(line, "\n")) {
						found = append(found, s.name)
					}
				}
			}
			slices.Sort(found)
			slices.Sort(tt.shapes)
			if !slices.Equal(found, tt.shapes) {
				t.Errorf("found %q, want %q", found, tt.shapes)
			}
		})
	}
	for _, s := range shapes {
		if !tried[s.name] {
			t.Errorf("no line has %s", s.name)
		}
	}
}

// digits returns what gives: with digits among its first 20 letters and no
// likeness to words, as nearly all have.
func digits(give func() string) string {
	for {
		if text := give(); random(text) && random(text[:16]) && random(text[:20]) && random(text[:22]) && text[0] != '1' { // or it looks sealed
			return text
		}
	}
}

func newHandles(t *testing.T, tokens refresh.Tokens) refresh.Tokens {
	t.Helper()
	s := &sessions.Sessions{
		Refresher: refresh.Func(func(context.Context, refresh.Tokens) (refresh.Tokens, error) { return tokens, nil }),
		Store:     new(refresh.MemoryStore),
	}
	t.Cleanup(func() { s.Close() })
	for {
		handles, err := s.Start(t.Context(), tokens, refresh.Identity{Issuer: "https://login.example", Subject: "ann"})
		if err != nil {
			t.Fatal(err)
		}
		if handles.Access[0] != '1' { // or it looks sealed
			return handles
		}
	}
}

// Hardly a secret is taken for words, and what people write is not taken for one.
func TestRandom(t *testing.T) {
	t.Parallel()
	const tries = 1000
	for name, give := range map[string]func() string{"of 256 bits": oauth2.GenerateVerifier, "of 130 bits": rand.Text} {
		missed := 0
		for range tries {
			if !random(give()) {
				missed++
			}
		}
		if missed > tries/20 { // one in 200 is usual
			t.Errorf("%d of %d random texts %s are taken for words", missed, tries, name)
		}
	}
	for _, text := range []string{
		"", "the-code-of-somebody", "TestPromise11SilenceOfTheWholeRun", "/auth/callback", http.StatusText(404),
		"github.com/tokenlife/tokenlife/middleware", "client-secret-of-test-2", "1700000000-is-when-it-ended", "COOKIE_KEYS",
	} {
		if random(text) {
			t.Errorf("%q is taken for a secret", text)
		}
	}
}
