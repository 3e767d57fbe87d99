package login_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
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
		if issued, ok := claims["iat"].(float64); ok {
			t.IssuedAt = time.Unix(int64(issued), 0)
		}
		if expiry, ok := claims["exp"].(float64); ok {
			t.Expiry = time.Unix(int64(expiry), 0)
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
		{"without a subject", set("sub", nil), false},
		{"without a time of issue", set("iat", nil), false},
		{"with a time of issue that is no number", set("iat", "now"), false},
		{"of another subject than the access token, which is for another recipient", set("sub", "00u1a2b3c4"), true},
		{"of another issuer than the access token, which is for another recipient", set("iss", "https://sts.provider.test/tenant/"), true},
		{"without at_hash, which is optional", set("at_hash", nil), true},
		{"with the hash of another access token", set("at_hash", "77QmUPtjPfzWtF2AnpK9RQ"), false},
		{"with an empty hash", set("at_hash", ""), false},
		{"with a hash that is no text", set("at_hash", 1), false},
		{"with a hash under a name in capitals, which is another claim", func(c map[string]any) {
			delete(c, "at_hash")
			c["AT_HASH"] = "77QmUPtjPfzWtF2AnpK9RQ"
		}, true},
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

// The hash of the access token is made by the algorithm that signed the ID token
// (OpenID Connect Core 1.0, section 3.1.3.6): the left half of it.
func TestTheIDTokenIsBoundToTheAccessTokenByTheHashOfItsAlgorithm(t *testing.T) {
	half := func(sum []byte) string { return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2]) }
	sha256Of := func(s string) string { sum := sha256.Sum256([]byte(s)); return half(sum[:]) }
	sha384Of := func(s string) string { sum := sha512.Sum384([]byte(s)); return half(sum[:]) }
	sha512Of := func(s string) string { sum := sha512.Sum512([]byte(s)); return half(sum[:]) }
	for _, test := range []struct {
		alg    string
		hash   func(access string) string
		others []func(string) string
	}{
		{"RS256", sha256Of, []func(string) string{sha384Of, sha512Of}},
		{"PS256", sha256Of, []func(string) string{sha384Of, sha512Of}},
		{"ES256", sha256Of, []func(string) string{sha384Of, sha512Of}},
		{"RS384", sha384Of, []func(string) string{sha256Of, sha512Of}},
		{"ES384", sha384Of, []func(string) string{sha256Of, sha512Of}},
		{"PS512", sha512Of, []func(string) string{sha256Of, sha384Of}},
		{"ES512", sha512Of, []func(string) string{sha256Of, sha384Of}},
		{"EdDSA", sha512Of, []func(string) string{sha256Of, sha384Of}},
		{"Ed25519", sha512Of, []func(string) string{sha256Of, sha384Of}},
		{"XY999", nil, []func(string) string{sha256Of, sha384Of, sha512Of}},
	} {
		t.Run(test.alg, func(t *testing.T) {
			try := func(hash func(string) string, good bool) {
				synctest.Test(t, func(t *testing.T) {
					var access string
					s := newSite(t, answering(func(tokens map[string]any) {
						access = tokens["access_token"].(string)
						header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"` + test.alg + `"}`))
						parts := strings.Split(tokens["id_token"].(string), ".")
						tokens["id_token"] = header + "." + parts[1] + "." + parts[2]
					}), func(f *login.Flow) {
						f.IDTokens = verified(func(claims map[string]any) { claims["at_hash"] = hash(access) })
					})
					b := newBrowser()
					resp := b.open(s, s.callback, b.begin(t, s, "/").String())
					if b.signedIn() != good {
						t.Errorf("signed in: %v, want %v (status %d)", b.signedIn(), good, resp.StatusCode)
					}
					s.silent(t)
				})
			}
			if test.hash != nil {
				try(test.hash, true)
				try(func(access string) string { return test.hash(access) + "==" }, true) // padded
				try(func(access string) string { return test.hash(access)[1:] }, false)
				try(func(access string) string { return test.hash(access + "x") }, false)
			}
			for _, other := range test.others {
				try(other, false)
			}
		})
	}
}

// answering changes the answers of the token endpoint.
func answering(change func(tokens map[string]any)) func(f *login.Flow) {
	return func(f *login.Flow) {
		next := f.Client.Client.Transport
		f.Client.Client = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(r)
			if err == nil && r.URL.Path == "/token" && resp.StatusCode == http.StatusOK {
				err = edit(resp, change)
			}
			return resp, err
		})}
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

// Where the ID token stands in for the access token, at_hash is of a token that
// nobody uses.
func TestTheIDTokenAsAccessToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(f *login.Flow) {
			f.Client.IDTokenAsAccess = true
			f.Auth.Verifier = verified(func(map[string]any) {})
		})
		newBrowser().signIn(t, s)
	})
}
