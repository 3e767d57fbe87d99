package login_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/login"
	"github.com/tokenlife/tokenlife/middleware/verify"
)

// verified is a Verifier that accepts everything, with the claims that change
// makes of those in the token.
func verified(change func(claims map[string]any)) middleware.Verifier {
	return middleware.VerifierFunc(func(_ context.Context, raw string) (*verify.Token, error) {
		payload, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[1])
		if err != nil {
			return nil, err
		}
		var claims map[string]any
		if err := json.Unmarshal(payload, &claims); err != nil {
			return nil, err
		}
		change(claims)
		if payload, err = json.Marshal(claims); err != nil {
			return nil, err
		}
		t := &verify.Token{Raw: "." + base64.RawURLEncoding.EncodeToString(payload) + "."}
		t.Issuer, _ = claims["iss"].(string)
		t.Subject, _ = claims["sub"].(string)
		switch aud := claims["aud"].(type) {
		case string:
			t.Audience = []string{aud}
		case []string:
			t.Audience = aud
		}
		return t, nil
	})
}

func TestTheIDTokenIsThatOfThisSignIn(t *testing.T) {
	set := func(name string, value any) func(map[string]any) {
		return func(claims map[string]any) { claims[name] = value }
	}
	for _, test := range []struct {
		name   string
		change func(claims map[string]any)
		good   bool
	}{
		{"as the provider made it", func(map[string]any) {}, true},
		{"with azp", set("azp", "client"), true},
		{"for several, issued to us", func(c map[string]any) { c["aud"] = []string{"client", "other"}; c["azp"] = "client" }, true},
		{"for several, issued to nobody in particular", set("aud", []string{"client", "other"}), false},
		{"for us, issued to another", set("azp", "other"), false},
		{"for another", set("aud", "other"), false},
		{"for nobody", set("aud", nil), false},
		{"without a nonce", set("nonce", nil), false},
		{"with an empty nonce", set("nonce", ""), false},
		{"with another nonce", set("nonce", "another"), false},
		{"with a nonce that is no text", set("nonce", 1), false},
		{"of another subject than the access token", set("sub", "mallory"), false},
		{"of another issuer than the access token", set("iss", "https://evil.example"), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, b := newSite(t, func(f *login.Flow) { f.IDTokens = verified(test.change) }), newBrowser()
				resp := b.open(s, s.callback, b.begin(t, s, "/").String())
				want, revoked := http.StatusBadGateway, 1
				if test.good {
					want, revoked = http.StatusSeeOther, 0
				}
				if resp.StatusCode != want || b.signedIn() != test.good {
					t.Errorf("status %d, want %d", resp.StatusCode, want)
				}
				if n := s.provider.Stats().Revoked; n != revoked {
					t.Errorf("%d logins are revoked at the provider, want %d", n, revoked)
				}
				s.silent(t)
			})
		})
	}
}

func TestTokensThatCannotBeUsed(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer func(s *site, tokens map[string]any)
	}{
		{"no ID token", func(_ *site, tokens map[string]any) { delete(tokens, "id_token") }},
		{"an ID token that is none", func(_ *site, tokens map[string]any) { tokens["id_token"] = "not-a-token" }},
		{"an ID token without a signature", func(_ *site, tokens map[string]any) {
			parts := strings.Split(tokens["id_token"].(string), ".")
			tokens["id_token"] = "eyJhbGciOiJub25lIn0." + parts[1] + "."
		}},
		{"the access token in its place", func(_ *site, tokens map[string]any) { tokens["id_token"] = tokens["access_token"] }},
		{"the ID token of another login", func(s *site, tokens map[string]any) {
			tokens["id_token"] = s.provider.Login("alice").ID
		}},
		{"an access token that is none", func(_ *site, tokens map[string]any) { tokens["access_token"] = "not-a-token" }},
		{"the ID token in the access token's place", func(_ *site, tokens map[string]any) { tokens["access_token"] = tokens["id_token"] }},
		{"the access token of another subject", func(s *site, tokens map[string]any) {
			tokens["access_token"] = s.provider.Login("mallory").Access
		}},
		{"no access token", func(_ *site, tokens map[string]any) { delete(tokens, "access_token") }},
		{"tokens that fit into no cookies", func(_ *site, tokens map[string]any) {
			tokens["refresh_token"] = strings.Repeat("r", 20<<10)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var s *site
				revocations := 0
				s = newSite(t, func(f *login.Flow) {
					next := f.Client.Client.Transport
					f.Client.Client = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
						resp, err := next.RoundTrip(r)
						if r.URL.Path == "/revoke" {
							revocations++
						}
						if err == nil && r.URL.Path == "/token" {
							err = edit(resp, func(tokens map[string]any) { test.answer(s, tokens) })
						}
						return resp, err
					})}
				})
				b := newBrowser()
				resp := b.open(s, s.callback, b.begin(t, s, "/").String())
				if resp.StatusCode != http.StatusBadGateway || b.signedIn() || len(b.cookies) != 0 {
					t.Errorf("status %d with %d cookies", resp.StatusCode, len(b.cookies))
				}
				if want := min(1, s.provider.Stats().Exchanged); test.name != "no access token" && revocations != want {
					t.Errorf("%d revocations, want %d: nobody will use these tokens", revocations, want)
				}
				s.silent(t)
			})
		})
	}
}

// edit changes the JSON object in an answer.
func edit(resp *http.Response, change func(map[string]any)) error {
	defer resp.Body.Close()
	var object map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&object); err != nil {
		return err
	}
	change(object)
	body, err := json.Marshal(object)
	if err != nil {
		return err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	resp.ContentLength = int64(len(body))
	return nil
}

func TestKeysOutOfReach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(f *login.Flow) {
			f.IDTokens = middleware.VerifierFunc(func(context.Context, string) (*verify.Token, error) {
				return nil, errors.New("the keys cannot be had")
			})
		})
		b := newBrowser()
		resp := b.open(s, s.callback, b.begin(t, s, "/").String())
		if resp.StatusCode != http.StatusBadGateway || len(b.cookies) != 0 {
			t.Errorf("status %d with %d cookies", resp.StatusCode, len(b.cookies))
		}
	})
}

// The exchange has given tokens, and then there is no time left for them.
func TestALoginThatCannotBeCheckedInTimeIsRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(f *login.Flow) {
			f.IDTokens = middleware.VerifierFunc(func(ctx context.Context, _ string) (*verify.Token, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			})
		})
		b := newBrowser()
		back := b.begin(t, s, "/").String()
		if d := took(func() {
			if resp := b.open(s, s.callback, back); resp.StatusCode != http.StatusBadGateway || len(b.cookies) != 0 {
				t.Errorf("status %d with %d cookies", resp.StatusCode, len(b.cookies))
			}
		}); d != 10*time.Second {
			t.Errorf("it took %v, want 10 s", d)
		}
		if n := s.provider.Stats().Revoked; n != 1 {
			t.Errorf("%d logins are revoked at the provider, want 1", n)
		}
	})
}

func TestAVerifierThatPanicsEndsOneSignInOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(f *login.Flow) {
			f.IDTokens = middleware.VerifierFunc(func(_ context.Context, raw string) (*verify.Token, error) { panic(raw) })
		})
		b := newBrowser()
		resp := b.open(s, s.callback, b.begin(t, s, "/").String())
		if resp.StatusCode != http.StatusBadGateway {
			t.Errorf("status %d", resp.StatusCode)
		}
		s.silent(t)
	})
}
