package login_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/login"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

func TestALogoutTokenThatIsNotGood(t *testing.T) {
	part := func(v any) string {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(data)
	}
	type make func(s *site) string
	with := func(claims map[string]any) make {
		if _, ok := claims["sub"]; !ok {
			claims["sub"] = "alice"
		}
		return func(s *site) string { return s.provider.LogoutToken(claims) }
	}
	// resigned is the payload of a good one under another header.
	resigned := func(header map[string]any, sign func(string) []byte) make {
		return func(s *site) string {
			_, rest, _ := strings.Cut(s.provider.LogoutToken(map[string]any{"sub": "alice"}), ".")
			payload, _, _ := strings.Cut(rest, ".")
			signed := part(header) + "." + payload
			return signed + "." + base64.RawURLEncoding.EncodeToString(sign(signed))
		}
	}
	foreign := &refreshtest.Provider{}
	event := map[string]any{logoutEvent: map[string]any{}}
	for name, token := range map[string]make{
		"of another key":               func(*site) string { return foreign.LogoutToken(map[string]any{"sub": "alice"}) },
		"of another issuer":            with(map[string]any{"iss": "https://other.test"}),
		"for another client":           with(map[string]any{"aud": "other"}),
		"without aud":                  with(map[string]any{"aud": nil}),
		"for the API":                  with(map[string]any{"aud": "api"}),
		"expired":                      with(map[string]any{"exp": time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(-time.Minute).Unix()}),
		"without exp, and old":         with(map[string]any{"exp": nil, "iat": time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(-6 * time.Minute).Unix()}),
		"without exp and iat":          with(map[string]any{"exp": nil, "iat": nil}),
		"without exp and jti":          with(map[string]any{"exp": nil, "jti": nil}),
		"issued too long ago":          with(map[string]any{"iat": time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(-6 * time.Minute).Unix()}),
		"issued in the future":         with(map[string]any{"iat": time.Date(2000, 1, 1, 0, 2, 0, 0, time.UTC).Unix()}),
		"without iat":                  with(map[string]any{"iat": nil}),
		"without jti":                  with(map[string]any{"jti": nil}),
		"with an empty jti":            with(map[string]any{"jti": ""}),
		"with a nonce":                 with(map[string]any{"nonce": "n"}),
		"with a nonce that is empty":   with(map[string]any{"nonce": ""}),
		"with a nonce in another case": with(map[string]any{"Nonce": "n"}),
		"without events":               with(map[string]any{"events": nil}),
		"with events in another case":  with(map[string]any{"events": nil, "Events": event}),
		"whose events are a list":      with(map[string]any{"events": []string{logoutEvent}}),
		"with another event":           with(map[string]any{"events": map[string]any{"urn:other": map[string]any{}}}),
		"whose event is null":          with(map[string]any{"events": map[string]any{logoutEvent: nil}}),
		"whose event is a string":      with(map[string]any{"events": map[string]any{logoutEvent: "{}"}}),
		"of neither sub nor sid":       with(map[string]any{"sub": nil}),
		"whose sid is a number":        with(map[string]any{"sid": 1}),
		"of the typ of access tokens":  with(map[string]any{"typ": "at+jwt"}),
		"of the typ of another event":  with(map[string]any{"typ": "secevent+jwt"}),
		"alg none":                     resigned(map[string]any{"alg": "none"}, func(string) []byte { return nil }),
		"HS256 under the client's name": resigned(map[string]any{"alg": "HS256"}, func(s string) []byte {
			m := hmac.New(sha256.New, []byte("client"))
			m.Write([]byte(s))
			return m.Sum(nil)
		}),
		"ES256 without a good signature":  resigned(map[string]any{"alg": "ES256"}, func(string) []byte { return make64() }),
		"that is no token":                func(*site) string { return "logout" },
		"that is empty":                   func(*site) string { return "" },
		"that is an ID token":             func(s *site) string { return s.provider.Login("alice").ID },
		"that is an access token":         func(s *site) string { return s.provider.Login("alice").Access },
		"that is longer than tokens are":  func(*site) string { return strings.Repeat("a", 17<<10) },
		"that says so of a refresh token": func(s *site) string { return s.provider.Login("alice").Refresh },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				called := false
				s, b := newSite(t, revoking, func(f *login.Flow) {
					f.OnLogout = func(context.Context, login.Logout) error { called = true; return nil }
				}), newBrowser()
				logout := s.flow.BackChannel()
				b.signIn(t, s)
				raw := token(s)
				if len(raw) > 12 {
					s.secrets = append(s.secrets, raw)
				}
				refusedLogout(t, s, deliver(logout, raw), "invalid_request")
				if resp := b.open(s, s.page(), "/"); resp.StatusCode != http.StatusOK || called {
					t.Errorf("the login is answered %d, OnLogout called: %t", resp.StatusCode, called)
				}
				s.silent(t)
			})
		})
	}
}

// Hydra, Glewlwyd and older versions of Keycloak write no exp.
func TestALogoutTokenWithoutExpIsGoodOnce(t *testing.T) {
	for name, claims := range map[string]map[string]any{
		"no exp":                {"exp": nil},
		"an exp of null":        {"exp": json.RawMessage("null")},
		"an exp of zero":        {"exp": 0},
		"a jti that is counted": {"exp": nil, "jti": 4711},
		"four minutes old":      {"exp": nil, "iat": time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(-4 * time.Minute).Unix()},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				called := 0
				s := newSite(t, revoking, func(f *login.Flow) {
					f.OnLogout = func(context.Context, login.Logout) error { called++; return nil }
				})
				logout := s.flow.BackChannel()
				claims["sub"] = "alice"
				raw := s.provider.LogoutToken(claims)
				s.secrets = append(s.secrets, raw)
				if resp := deliver(logout, raw); resp.StatusCode != http.StatusOK || called != 1 {
					t.Fatalf("answered %d, OnLogout called %d times", resp.StatusCode, called)
				}
				refusedLogout(t, s, deliver(logout, raw), "invalid_request")
				if called != 1 {
					t.Errorf("OnLogout called %d times", called)
				}
				s.silent(t)
			})
		})
	}
}

func make64() []byte { return make([]byte, 64) }

func TestALogoutRequestThatIsMalformed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, revoking)
		logout := s.flow.BackChannel()
		good := func() string { return s.provider.LogoutToken(map[string]any{"sub": "alice"}) }
		for name, form := range map[string]string{
			"a parameter twice":        "logout_token=" + good() + "&logout_token=" + good(),
			"a token twice":            "logout_token=" + good() + "&logout_token=",
			"no parameter":             "",
			"a parameter in capitals":  "LOGOUT_TOKEN=" + good(),
			"broken escapes":           "logout_token=" + good() + "&x=%zz",
			"more than anybody reads":  "x=" + strings.Repeat("x", 20<<10) + "&logout_token=" + good(),
			"a separator of old times": "a=b;logout_token=" + good(),
		} {
			if resp := post(logout, form); resp.StatusCode != http.StatusBadRequest {
				t.Errorf("%s: %d", name, resp.StatusCode)
			}
		}
		for name, r := range map[string]*http.Request{
			"in the query": httptest.NewRequest(http.MethodPost, origin+"/?logout_token="+good(), http.NoBody),
			"as JSON":      httptest.NewRequest(http.MethodPost, origin, strings.NewReader(`{"logout_token":"`+good()+`"}`)),
		} {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if name == "as JSON" {
				r.Header.Set("Content-Type", "application/json")
			}
			w := httptest.NewRecorder()
			logout.ServeHTTP(w, r)
			if w.Code != http.StatusBadRequest {
				t.Errorf("%s: %d", name, w.Code)
			}
		}
		w := httptest.NewRecorder()
		logout.ServeHTTP(w, httptest.NewRequest(http.MethodGet, origin+"/?logout_token="+good(), nil))
		if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != http.MethodPost {
			t.Errorf("GET: %d", w.Code)
		}
		// Other parameters are ignored, and so is the charset of a form.
		r := httptest.NewRequest(http.MethodPost, origin, strings.NewReader("more=1&logout_token="+good()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
		w = httptest.NewRecorder()
		logout.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			t.Errorf("a good request: %d", w.Code)
		}
	})
}

// No sign-in ends in a logout token, whatever it has beside.
func TestALogoutTokenIsNoOtherToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, revoking)
		for _, typ := range []string{"logout+jwt", "JWT", "at+jwt"} {
			token := s.provider.LogoutToken(map[string]any{"sub": "alice", "aud": []string{"api", "client"}, "typ": typ})
			r := httptest.NewRequest(http.MethodGet, origin+"/", nil)
			r.Header.Set("Authorization", "Bearer "+token)
			w := httptest.NewRecorder()
			s.page().ServeHTTP(w, r)
			if w.Code != http.StatusUnauthorized {
				t.Errorf("a logout token with typ %s as access token: %d", typ, w.Code)
			}
		}
	})
}

// A Verifier of the program's own may know nothing of logout tokens.
func TestALogoutTokenIsHeldAgainstMoreThanItsVerifier(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(t *verify.Token)
		want  string
	}{
		"a good one":             {func(*verify.Token) {}, ""},
		"of nobody":              {func(t *verify.Token) { t.Subject = "" }, "invalid_request"},
		"issued in the future":   {func(t *verify.Token) { t.IssuedAt = time.Now().Add(2 * time.Minute) }, "invalid_request"},
		"issued at no time":      {func(t *verify.Token) { t.IssuedAt = time.Time{} }, "invalid_request"},
		"issued a long time ago": {func(t *verify.Token) { t.IssuedAt = time.Now().Add(-6 * time.Minute) }, "invalid_request"},
		"without a name":         {func(t *verify.Token) { t.ID = "" }, "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, revoking, func(f *login.Flow) {
					f.LogoutTokens = middleware.VerifierFunc(func(_ context.Context, raw string) (*verify.Token, error) {
						token := &verify.Token{Raw: raw, Issuer: "https://provider.test", Subject: "alice", ID: "one", IssuedAt: time.Now()}
						test.spoil(token)
						return token, nil
					})
				})
				resp := deliver(s.flow.BackChannel(), s.provider.LogoutToken(map[string]any{"sub": "alice"}))
				if test.want != "" {
					refusedLogout(t, s, resp, test.want)
				} else if resp.StatusCode != http.StatusOK {
					t.Errorf("answered %d", resp.StatusCode)
				}
			})
		})
	}
}
