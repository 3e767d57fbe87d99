package login_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/login"
	"github.com/tokenlife/tokenlife/middleware/verify"
)

// What protects a sign-in is given up by fields that say so, and by nothing that
// the provider's metadata say or leave out.
func TestProtectionsAreGivenUpByNameAlone(t *testing.T) {
	for _, test := range []struct {
		name          string
		change        func(f *login.Flow)
		methods       []string // code_challenge_methods_supported
		pkce, nonce   bool
		nonceReturned bool // by the provider
		good          bool
	}{
		{"as it is", func(*login.Flow) {}, []string{"S256"}, true, true, true, true},
		{"metadata without a method", func(*login.Flow) {}, nil, true, true, true, true},
		{"metadata with no method at all", func(*login.Flow) {}, []string{}, true, true, true, true},
		{"metadata with plain alone", func(*login.Flow) {}, []string{"plain"}, true, true, true, true},
		{"a provider that leaves out the nonce", func(*login.Flow) {}, []string{"S256"}, true, true, false, false},
		{"WithoutNonce", func(f *login.Flow) { f.WithoutNonce = true }, []string{"S256"}, true, false, false, true},
		{"WithoutPKCE", func(f *login.Flow) { f.WithoutPKCE = true }, []string{"S256"}, false, true, true, true},
		{"without both", func(f *login.Flow) { f.WithoutPKCE, f.WithoutNonce = true, true }, nil, false, false, false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := new(bareProvider)
				s, b := newSite(t, p.serve(test.methods), func(f *login.Flow) {
					f.IDTokens, f.Auth.Verifier = verified(func(map[string]any) {}), named("alice")
				}, test.change), newBrowser()
				to, err := url.Parse(b.open(s, s.start, "/login").Header.Get("Location"))
				if err != nil {
					t.Fatal(err)
				}
				q := to.Query()
				if pkce := q.Get("code_challenge_method") == "S256" && len(q.Get("code_challenge")) == 43; pkce != test.pkce || q.Has("code_challenge") != test.pkce {
					t.Errorf("PKCE: %v, want %v", pkce, test.pkce)
				}
				if q.Has("nonce") != test.nonce {
					t.Errorf("a nonce: %v, want %v", q.Has("nonce"), test.nonce)
				}
				claims := map[string]any{"iss": s.provider.URL(""), "sub": "alice", "aud": "client", "iat": unix(0)}
				if test.nonceReturned {
					claims["nonce"] = q.Get("nonce")
				}
				p.id = unsigned(claims)
				resp := b.open(s, s.callback, p.callback(s, q))
				if good := resp.StatusCode == http.StatusSeeOther; good != test.good || b.signedIn() != test.good {
					t.Errorf("status %d, signed in: %v", resp.StatusCode, b.signedIn())
				}
				if p.sent.Has("code_verifier") != test.pkce {
					t.Errorf("a verifier: %v, want %v", p.sent.Has("code_verifier"), test.pkce)
				}
				s.silent(t)
			})
		})
	}
}

// A bareProvider has a token endpoint that accepts every code.
type bareProvider struct {
	id   string     // the ID token that it gives; empty: none
	sent url.Values // to its token endpoint
}

// serve puts p before the provider of a site. Its metadata have the given
// code_challenge_methods_supported; nil: none.
func (p *bareProvider) serve(methods []string) func(f *login.Flow) {
	return func(f *login.Flow) {
		next := f.Client.Client.Transport
		f.Client.Client = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.URL.Path != "/token" {
				return next.RoundTrip(r)
			}
			if err := r.ParseForm(); err != nil {
				return nil, err
			}
			p.sent = r.PostForm
			tokens := map[string]any{
				"token_type": "bearer", "access_token": "access-token-of-alice", "refresh_token": "refresh-token-of-alice", "expires_in": 300,
			}
			if p.id != "" {
				tokens["id_token"] = p.id
			}
			body, err := json.Marshal(tokens)
			if err != nil {
				return nil, err
			}
			w := httptest.NewRecorder()
			w.Header().Set("Content-Type", "application/json")
			_, err = w.Write(body)
			return w.Result(), err
		})}
		f.Client.Discovery.Client = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(r)
			if err == nil && r.URL.Path == "/.well-known/openid-configuration" {
				err = edit(resp, func(m map[string]any) {
					if m["code_challenge_methods_supported"] = methods; methods == nil {
						delete(m, "code_challenge_methods_supported")
					}
				})
			}
			return resp, err
		})}
	}
}

// callback returns the URL that the browser comes back to.
func (p *bareProvider) callback(s *site, asked url.Values) string {
	return "/callback?" + url.Values{"state": {asked.Get("state")}, "code": {"code-of-alice"}, "iss": {s.provider.URL("")}}.Encode()
}

// unsigned is a token for the Verifier verified.
func unsigned(claims map[string]any) string {
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	return "e30." + base64.RawURLEncoding.EncodeToString(payload) + ".c2ln"
}

func TestASignInWithoutAnIDToken(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(f *login.Flow)
		id     string
		query  string // of Start
		want   int
	}{
		{"the user API names the user", func(*login.Flow) {}, "", "", http.StatusSeeOther},
		{"an ID token that nobody verifies is dropped", func(f *login.Flow) { f.Auth.Cookies.KeepID = true }, "e30.e30.c2ln", "", http.StatusSeeOther},
		{"the user API names nobody", func(f *login.Flow) { f.Auth.Verifier = named("") }, "", "", http.StatusBadGateway},
		{"the user API refuses the token", func(f *login.Flow) {
			f.Auth.Verifier = middleware.VerifierFunc(func(context.Context, string) (*verify.Token, error) {
				return nil, fmt.Errorf("%w: Bad credentials", verify.ErrInvalid)
			})
		}, "", "", http.StatusBadGateway},
		{"a fresh sign-in is asked for, and nobody says that it was", func(f *login.Flow) { f.StartParams = []string{"max_age"} }, "", "max_age=60", http.StatusForbidden},
		{"it is not set", func(f *login.Flow) { f.WithoutIDToken, f.Scopes, f.IDTokens = false, nil, named("alice") }, "", "", http.StatusBadGateway},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &bareProvider{id: test.id}
				s, b := newSite(t, p.serve(nil), func(f *login.Flow) {
					f.WithoutIDToken, f.Scopes = true, []string{"read:user"}
					f.Auth.Verifier = named("alice")
				}, test.change), newBrowser()
				to, err := url.Parse(b.open(s, s.start, "/login?"+test.query).Header.Get("Location"))
				if err != nil {
					t.Fatal(err)
				}
				q := to.Query()
				if s.flow.WithoutIDToken && (q.Has("nonce") || q.Get("scope") != "read:user") || len(q.Get("code_challenge")) != 43 || len(q.Get("state")) != 43 {
					t.Errorf("asked with the parameters %v", slices.Sorted(maps.Keys(q)))
				}
				resp := b.open(s, s.callback, p.callback(s, q))
				if resp.StatusCode != test.want || b.signedIn() != (test.want == http.StatusSeeOther) {
					t.Errorf("status %d, want %d", resp.StatusCode, test.want)
				}
				if b.cookies["__Host-idToken"] != "" {
					t.Error("an ID token that nobody has verified is kept")
				}
				s.silent(t)
			})
		})
	}
}

// named is a Verifier that asks a user API, so to speak.
func named(subject string) middleware.Verifier {
	return middleware.VerifierFunc(func(_ context.Context, raw string) (*verify.Token, error) {
		if raw == "" {
			return nil, fmt.Errorf("%w: test", verify.ErrInvalid)
		}
		return &verify.Token{Raw: raw, Issuer: "https://code.test", Subject: subject}, nil
	})
}
