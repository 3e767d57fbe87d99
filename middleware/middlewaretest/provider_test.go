package middlewaretest_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/cookies"
	_ "github.com/tokenlife/tokenlife/internal/race"
	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/middlewaretest"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

func TestAVerifierTakesTheTokensThatAreGood(t *testing.T) {
	now := time.Now().Unix()
	tests := []struct {
		name   string
		claims map[string]any
		want   error // nil: good
	}{
		{"nothing asked for", nil, nil},
		{"claims of one's own", map[string]any{"sub": "ann", "tenant": "t1"}, nil},
		{"an end in the past", map[string]any{"exp": now - 60}, verify.ErrExpired},
		{"another issuer", map[string]any{"iss": "https://other.test"}, verify.ErrInvalid},
		{"another audience", map[string]any{"aud": "other"}, verify.ErrInvalid},
		{"a claim left out", map[string]any{"aud": nil}, verify.ErrInvalid},
	}
	p := middlewaretest.NewProvider(t)
	theirs, err := verify.New(p.Issuer())
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			raw := p.Token(tt.claims)
			for _, v := range []middleware.Verifier{p, theirs} {
				if _, err := v.Verify(t.Context(), raw); !errors.Is(err, tt.want) {
					t.Errorf("%T: %v, want %v", v, err, tt.want)
				}
			}
		})
	}
}

func TestALoginKeepsItsClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := middlewaretest.NewProvider(t)
		p.Endpoint.AccessLife = time.Minute
		begun := time.Now()
		login := p.Login(map[string]any{"sub": "ann", "tenant": "t1", "exp": begun.Unix() + 5, "jti": "first"})
		if want := begun.Add(5 * time.Second).Unix(); login.Expiry.Unix() != want {
			t.Errorf("it ends at %d, want %d", login.Expiry.Unix(), want)
		}
		<-time.After(10 * time.Second)
		next, err := p.Refresh(t.Context(), refresh.Tokens{Refresh: login.Refresh})
		if err != nil {
			t.Fatal(err)
		}
		token, err := p.Verify(t.Context(), next.Access)
		if err != nil {
			t.Fatal(err)
		}
		var claims struct{ Tenant string }
		if err := token.Claims(&claims); err != nil || claims.Tenant != "t1" {
			t.Errorf("tenant %q, %v", claims.Tenant, err)
		}
		if token.Subject != "ann" || token.ID == "first" || token.Expiry.Sub(begun) != 70*time.Second {
			t.Errorf("subject %q, jti %q, end after %v", token.Subject, token.ID, token.Expiry.Sub(begun))
		}
		if _, err := p.Refresh(t.Context(), login); !errors.Is(err, refresh.ErrDenied) {
			t.Errorf("the old refresh token again: %v", err)
		}
	})
}

func TestAFaultOfTheProviderIsSeen(t *testing.T) {
	p := middlewaretest.NewProvider(t)
	login := p.Login(map[string]any{"sub": "ann"})

	p.KeysDown(true)
	if _, err := p.Verify(t.Context(), login.Access); err == nil || errors.Is(err, verify.ErrInvalid) || errors.Is(err, verify.ErrExpired) {
		t.Errorf("keys down: %v, want that it could not be told", err)
	}
	p.KeysDown(false)
	if _, err := p.Verify(t.Context(), login.Access); err != nil {
		t.Errorf("keys up again: %v", err)
	}

	p.Endpoint.Fail(refreshtest.OtherSubject, 1)
	next, err := p.Refresh(t.Context(), refresh.Tokens{Refresh: login.Refresh})
	if err != nil {
		t.Fatal(err)
	}
	if token, err := p.Verify(t.Context(), next.Access); err != nil || token.Subject == "ann" {
		t.Errorf("tokens of another subject: %v, %v", token, err)
	}

	if err := p.Revoke(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Refresh(t.Context(), next); !errors.Is(err, refresh.ErrDenied) {
		t.Errorf("after the revocation: %v", err)
	}
	if err := p.Revoke(t.Context(), refresh.Tokens{}); err != nil && !strings.HasPrefix(err.Error(), "middlewaretest: ") {
		t.Errorf("nothing to revoke: %v", err)
	}
}

func TestAKeyThatIsRotatedSignsNoMore(t *testing.T) {
	p := middlewaretest.NewProvider(t)
	login := p.Login(nil)
	if _, err := p.Verify(t.Context(), login.Access); err != nil {
		t.Fatal(err)
	}
	p.RotateKey()
	if _, err := p.Verify(t.Context(), login.Access); !errors.Is(err, verify.ErrInvalid) {
		t.Errorf("a token of the old key: %v", err)
	}
	next, err := p.Refresh(t.Context(), refresh.Tokens{Refresh: login.Refresh})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Verify(t.Context(), next.Access); err != nil {
		t.Errorf("a token of the new key: %v", err)
	}
}

func TestABrowserStaysSignedIn(t *testing.T) {
	keys, err := cookies.NewKeyRing([]byte(strings.Repeat("a key of ours ok", 2)))
	if err != nil {
		t.Fatal(err)
	}
	for name, policy := range map[string]cookies.Policy{
		"in the cookies of the zero value": {},
		"in sealed cookies":                {Keys: keys},
		"over plain http":                  {InsecureHTTP: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := middlewaretest.NewProvider(t)
				auth := &middleware.Auth{Verifier: p, Refresher: p, Cookies: policy}
				defer auth.Close()
				site := auth.Require(http.HandlerFunc(whoami))
				r := httptest.NewRequest("GET", "/", nil)
				r.AddCookie(&http.Cookie{Name: "theme", Value: "dark"})
				middlewaretest.SignIn(auth, r, p.Login(map[string]any{"sub": "ann"}))
				for want := range 3 {
					w := httptest.NewRecorder()
					site.ServeHTTP(w, r)
					if w.Code != 200 || w.Body.String() != "ann" {
						t.Fatalf("after %d hours: %d %s", want, w.Code, w.Body)
					}
					if n := p.Endpoint.Stats().Refreshed; n != want {
						t.Errorf("after %d hours: %d refreshes", want, n)
					}
					middlewaretest.Keep(r, w.Result())
					<-time.After(time.Hour)
				}
				w := httptest.NewRecorder()
				auth.SignOut(w, r)
				middlewaretest.Keep(r, w.Result())
				if c, err := auth.Cookies.Read(r); c.Access+c.Refresh != "" || err != nil {
					t.Errorf("after signing out there are tokens, %v", err)
				}
				if c, err := r.Cookie("theme"); err != nil || c.Value != "dark" {
					t.Errorf("the cookie of another: %v", err)
				}
			})
		})
	}
}

func whoami(w http.ResponseWriter, r *http.Request) {
	token, ok := middleware.FromContext(r.Context())
	if !ok {
		http.Error(w, "nobody", http.StatusTeapot)
		return
	}
	w.Write([]byte(token.Subject))
}

func TestAContextHasTheTokenThatARequestWouldHave(t *testing.T) {
	exp := time.Now().Add(-time.Hour).Truncate(time.Second)
	ctx := middlewaretest.NewContext(t.Context(), map[string]any{
		"iss": "https://login.example", "sub": "ann", "aud": []string{"a", "b"}, "scope": "read write",
		"groups": []string{"staff"}, "sid": "s1", "exp": exp.Unix(), "tenant": "t1", "client_id": nil, "azp": "web",
	})
	token, ok := middleware.FromContext(ctx)
	if !ok {
		t.Fatal("no token")
	}
	if token.Issuer != "https://login.example" || token.Subject != "ann" || len(token.Audience) != 2 ||
		!token.HasScope("write") || !token.HasGroup("staff") || token.Session != "s1" || token.ClientID != "web" || !token.Expiry.Equal(exp) {
		t.Errorf("%q %q %q %q %q %q %q %v", token.Issuer, token.Subject, token.Audience, token.Scopes, token.Groups, token.Session, token.ClientID, token.Expiry)
	}
	claims, err := middleware.Claims[struct{ Tenant string }](ctx)
	if err != nil || claims.Tenant != "t1" {
		t.Errorf("claims %+v, %v", claims, err)
	}
}

func TestAMistakeInATestPanics(t *testing.T) {
	p := middlewaretest.NewProvider(t)
	tests := []struct {
		name string
		call func()
	}{
		{"a claim that is no JSON", func() { p.Token(map[string]any{"f": func() {}}) }},
		{"a context with such a claim", func() { middlewaretest.NewContext(t.Context(), map[string]any{"f": func() {}}) }},
		{"a context without a subject", func() { middlewaretest.NewContext(t.Context(), map[string]any{"sub": nil}) }},
		{"a login that the site does not take", func() {
			middlewaretest.SignIn(&middleware.Auth{Verifier: p}, httptest.NewRequest("GET", "/", nil), refresh.Tokens{Access: "x"})
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			defer func() {
				if s, ok := recover().(string); !ok || !strings.HasPrefix(s, "middlewaretest: ") {
					t.Errorf("panicked with %v", s)
				}
			}()
			tt.call()
		})
	}
}
