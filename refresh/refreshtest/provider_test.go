package refreshtest_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

func Example() {
	provider := &refreshtest.Provider{AccessLife: 20 * time.Second}
	srv := refreshtest.NewServer(provider)
	defer srv.Close()
	client := &refresh.OAuth2{ClientID: "client", TokenURL: srv.URL + "/token"}

	// The provider spends the refresh token, and its answer does not arrive.
	login := provider.Login("alice")
	provider.Fail(refreshtest.LostAnswer, 1)
	_, err := client.Refresh(context.Background(), login)
	fmt.Println("lost:", err != nil, errors.Is(err, refresh.ErrDenied))

	// To ask again ends the login.
	_, err = client.Refresh(context.Background(), login)
	fmt.Println("over:", errors.Is(err, refresh.ErrDenied))
	fmt.Printf("%+v\n", provider.Stats())
	// Output:
	// lost: true false
	// over: true
	// {Calls:2 Exchanged:0 Refreshed:1 Refused:1 Reused:1 FamiliesRevoked:1 Revoked:0 Peak:1}
}

func ExampleTestStore() {
	// In the tests of a Store:
	_ = func(t *testing.T) {
		refreshtest.TestStore(t, func() refresh.Store { return new(refresh.MemoryStore) })
	}
	// Output:
}

func TestRotation(t *testing.T) {
	const soon, late = 10 * time.Second, 31 * time.Second
	for _, c := range []struct {
		name     string
		rotation refreshtest.Rotation
		wait     time.Duration
		again    bool // the first token may be used again after wait
		same     bool // and gives the same refresh token
		lives    bool // the login is alive after that
	}{
		{"strict takes a token once", refreshtest.Strict, 0, false, false, false},
		{"grace gives the same successor", refreshtest.GraceSame, soon, true, true, true},
		{"grace ends", refreshtest.GraceSame, late, false, false, false},
		{"grace gives a new successor", refreshtest.GraceNew, soon, true, false, true},
		{"grace with new ones ends as well", refreshtest.GraceNew, late, false, false, false},
		{"without rotation a token stays", refreshtest.Reusable, time.Hour, true, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &refreshtest.Provider{Rotation: c.rotation}
				client := &refresh.OAuth2{ClientID: "client", TokenURL: p.URL("/token"), Client: p.Client()}
				first := p.Login("alice")
				second, err := client.Refresh(t.Context(), first)
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(c.wait)
				again, err := client.Refresh(t.Context(), first)
				if (err == nil) != c.again || err != nil && !errors.Is(err, refresh.ErrDenied) {
					t.Fatalf("used again: %v", err)
				}
				if err == nil && (again.Refresh == second.Refresh) != c.same {
					t.Errorf("the same refresh token: %t, want %t", again.Refresh == second.Refresh, c.same)
				}
				if live := p.Live(second); live != c.lives {
					t.Errorf("the login is alive: %t, want %t", live, c.lives)
				}
				s, reused := p.Stats(), 0
				if !c.again {
					reused = 1
				}
				if s.Calls != 2 || s.Refreshed != 2-reused || s.Refused != reused || s.Reused != reused || s.FamiliesRevoked != reused {
					t.Errorf("the counts are %+v", s)
				}
			})
		})
	}
}

func TestFaultsAreForAsManyCallsAsAsked(t *testing.T) {
	p := &refreshtest.Provider{}
	client := &refresh.OAuth2{ClientID: "client", TokenURL: p.URL("/token"), Client: p.Client()}
	tok := p.Login("alice")
	p.Fail(refreshtest.ServerError, 2)
	for i := range 3 {
		next, err := client.Refresh(t.Context(), tok)
		if (err == nil) != (i == 2) {
			t.Errorf("call %d: %v", i, err)
		}
		if err == nil {
			tok = next
		}
	}
	p.Fail(refreshtest.ServerError, -1)
	for range 5 {
		if _, err := client.Refresh(t.Context(), tok); err == nil {
			t.Error("the fault has ended by itself")
		}
	}
	p.Fail(refreshtest.None, 0)
	if _, err := client.Refresh(t.Context(), tok); err != nil {
		t.Error(err)
	}
}

func TestASlowProviderGoesOnWithoutItsClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &refreshtest.Provider{}
		p.SetDelay(3 * time.Second)
		client := &refresh.OAuth2{ClientID: "client", TokenURL: p.URL("/token"), Client: p.Client()}
		tok := p.Login("alice")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := client.Refresh(ctx, tok); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error is %v, want the deadline", err)
		}
		time.Sleep(3 * time.Second)
		if s := p.Stats(); s.Refreshed != 1 || p.Live(tok) {
			t.Errorf("the refresh token is not spent: %+v", s)
		}
	})
}

func TestPeakIsMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &refreshtest.Provider{Rotation: refreshtest.Reusable}
		p.SetDelay(time.Second)
		client := &refresh.OAuth2{ClientID: "client", TokenURL: p.URL("/token"), Client: p.Client()}
		tok := p.Login("alice")
		var wg sync.WaitGroup
		for range 7 {
			wg.Go(func() {
				if _, err := client.Refresh(t.Context(), tok); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if s := p.Stats(); s.Peak != 7 || s.Calls != 7 {
			t.Errorf("the counts are %+v", s)
		}
	})
}

func TestOtherSubject(t *testing.T) {
	p := &refreshtest.Provider{}
	client := &refresh.OAuth2{ClientID: "client", TokenURL: p.URL("/token"), Client: p.Client()}
	p.Fail(refreshtest.OtherSubject, 2)
	login := p.Login("alice")
	tok, err := client.Refresh(t.Context(), refresh.Tokens{Refresh: login.Refresh})
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range []string{tok.Access, tok.ID} {
		if sub := payload(t, raw)["sub"]; sub != "alice-other" {
			t.Errorf("the subject is %v", sub)
		}
	}
	if _, err := client.Refresh(t.Context(), p.Login("bob")); !errors.Is(err, refresh.ErrOtherSubject) {
		t.Errorf("where the ID token of the login is kept: %v", err)
	}
}

func TestALoginEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &refreshtest.Provider{RefreshLife: time.Hour}
		client := &refresh.OAuth2{ClientID: "client", TokenURL: p.URL("/token"), Client: p.Client()}
		tok, other := p.Login("alice"), p.Login("bob")
		time.Sleep(time.Hour - time.Second)
		tok, err := client.Refresh(t.Context(), tok)
		if err != nil || time.Until(tok.RefreshExpiry) != time.Second {
			t.Fatalf("just before: %v, %v", tok.RefreshExpiry, err)
		}
		p.End("bob")
		if p.Live(other) || !p.Live(tok) {
			t.Error("End has ended the wrong login")
		}
		time.Sleep(time.Second)
		if _, err := client.Refresh(t.Context(), tok); !errors.Is(err, refresh.ErrDenied) {
			t.Errorf("at its end: %v", err)
		}
	})
}

// The keys that a program would take from the provider verify its tokens.
func TestTokensVerifyWithTheServedKeys(t *testing.T) {
	p := &refreshtest.Provider{Audience: "https://api.test"}
	jwks := get(t, p, "/jwks")
	keys, err := keyfunc.NewJWKSetJSON(json.RawMessage(jwks))
	if err != nil {
		t.Fatal(err)
	}
	tok := p.Login("alice")
	for raw, audience := range map[string]string{tok.Access: "https://api.test", tok.ID: "client"} {
		got, err := jwt.Parse(raw, keys.Keyfunc, jwt.WithValidMethods([]string{"ES256"}),
			jwt.WithIssuer("https://provider.test"), jwt.WithAudience(audience), jwt.WithExpirationRequired(), jwt.WithSubject("alice"))
		if err != nil {
			t.Errorf("for %s: %v", audience, err)
			continue
		}
		if typ := got.Header["typ"]; (typ == "at+jwt") != (audience != "client") {
			t.Errorf("for %s: typ is %v", audience, typ)
		}
	}
}

func TestAuthorizeSignsInAtOnce(t *testing.T) {
	good := url.Values{
		"response_type": {"code"}, "client_id": {"client"}, "redirect_uri": {"https://site.test/callback?a=b"},
		"state": {"s"}, "nonce": {"n"}, "scope": {"openid email"}, "login_hint": {"bob"},
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"},
	}
	for _, c := range []struct {
		name, parameter, value string
		status                 int
		problem                string
	}{
		{"all right", "", "", 302, ""},
		{"another client", "client_id", "other", 400, ""},
		{"nowhere to go back to", "redirect_uri", "/callback", 400, ""},
		{"another flow", "response_type", "token", 302, "invalid_request"},
		{"no challenge", "code_challenge", "", 302, "invalid_request"},
		{"a plain challenge", "code_challenge_method", "plain", 302, "invalid_request"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &refreshtest.Provider{}
			q := url.Values{}
			for name, values := range good {
				q[name] = values
			}
			if c.parameter != "" {
				q.Set(c.parameter, c.value)
			}
			browser := p.Client()
			browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			resp, err := browser.Get(p.URL("/authorize?" + q.Encode()))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != c.status {
				t.Fatalf("the answer is %d, want %d", resp.StatusCode, c.status)
			}
			if c.status != http.StatusFound {
				return
			}
			at, err := resp.Location()
			if err != nil {
				t.Fatal(err)
			}
			back := at.Query()
			if back.Get("a") != "b" || back.Get("state") != "s" || back.Get("error") != c.problem || (back.Get("code") == "") != (c.problem != "") {
				t.Errorf("the way back is %s", at)
			}
			if c.problem != "" {
				return
			}
			client := &refresh.OAuth2{ClientID: "client", TokenURL: p.URL("/token"), Client: p.Client()}
			// The verifier of RFC 7636, appendix B.
			tok, err := client.Exchange(t.Context(), back.Get("code"), "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "https://site.test/callback?a=b")
			if err != nil {
				t.Fatal(err)
			}
			if id := payload(t, tok.ID); id["nonce"] != "n" || id["sub"] != "bob" || id["aud"] != "client" {
				t.Errorf("the ID token says %v", id)
			}
			if access := payload(t, tok.Access); access["scope"] != "openid email" {
				t.Errorf("the access token says %v", access)
			}
		})
	}
}

func TestLogoutEndsTheLogin(t *testing.T) {
	p := &refreshtest.Provider{}
	tok, other := p.Login("alice"), p.Login("alice")
	browser := p.Client()
	browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	q := url.Values{"id_token_hint": {tok.ID}, "post_logout_redirect_uri": {"https://site.test/"}, "state": {"s"}}
	resp, err := browser.Get(p.URL("/logout?" + q.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if at := resp.Header.Get("Location"); at != "https://site.test/?state=s" {
		t.Errorf("the way back is %q", at)
	}
	if p.Live(tok) || !p.Live(other) || p.Stats().Revoked != 1 {
		t.Error("want this login ended, and no other")
	}
	if body := get(t, p, "/logout?id_token_hint=x"); !strings.Contains(body, "signed out") || !p.Live(other) {
		t.Errorf("a hint that is no token: %q", body)
	}
}

func get(t *testing.T, p *refreshtest.Provider, path string) string {
	t.Helper()
	resp, err := p.Client().Get(p.URL(path))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", path, resp.Status, err)
	}
	return string(body)
}

func payload(t *testing.T, raw string) map[string]any {
	t.Helper()
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		t.Fatal("not a JWT")
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	claims := map[string]any{}
	if err := json.Unmarshal(b, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}
