package refresh_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/discovery"
	"github.com/tokenlife/tokenlife/refresh/internal/silence"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

func ExampleOAuth2() {
	provider := &refreshtest.Provider{ClientSecret: "s3cr3t"} // stands for yours
	srv := refreshtest.NewServer(provider)
	defer srv.Close()

	client := &refresh.OAuth2{
		ClientID:     "client",
		ClientSecret: "s3cr3t",
		Discovery:    &discovery.Provider{Issuer: srv.URL},
	}
	ctx := context.Background()
	first := provider.Login("alice")
	second, err := client.Refresh(ctx, first)
	fmt.Println("new tokens:", second.Access != first.Access, second.Refresh != first.Refresh, err)

	// A provider that rotates takes the second use of a token for theft.
	_, err = client.Refresh(ctx, first)
	fmt.Println("over:", errors.Is(err, refresh.ErrDenied))
	// Output:
	// new tokens: true true <nil>
	// over: true
}

func ExampleProviderError() {
	provider := &refreshtest.Provider{}
	provider.Fail(refreshtest.Overloaded, 1)
	client := &refresh.OAuth2{ClientID: "client", TokenURL: provider.URL("/token"), Client: provider.Client()}

	_, err := client.Refresh(context.Background(), provider.Login("alice"))
	var refused *refresh.ProviderError
	if errors.As(err, &refused) {
		fmt.Println(refused.Status, refused.Code, refused.RetryAfter, errors.Is(err, refresh.ErrDenied))
	}
	// Output: 429 temporarily_unavailable 7s false
}

func TestOAuth2RefreshKeepsWhatIsNotReplaced(t *testing.T) {
	provider := &refreshtest.Provider{Rotation: refreshtest.Reusable}
	client := &refresh.OAuth2{ClientID: "client", TokenURL: provider.URL("/token"), Client: provider.Client()}
	old := provider.Login("alice")
	tok, err := client.Refresh(t.Context(), old)
	if err != nil {
		t.Fatal(err)
	}
	if tok.Refresh != old.Refresh || tok.Access == old.Access {
		t.Error("want the old refresh token and a new access token")
	}
	if left := time.Until(tok.Expiry); left < 4*time.Minute || left > 5*time.Minute {
		t.Errorf("the access token expires in %v, want 5m", left)
	}
}

func TestOAuth2WithoutRefreshTokenIsOver(t *testing.T) {
	client := &refresh.OAuth2{ClientID: "client", TokenURL: "https://provider.test/token"}
	if _, err := client.Refresh(t.Context(), refresh.Tokens{Access: "a"}); !errors.Is(err, refresh.ErrDenied) {
		t.Errorf("error is %v, want ErrDenied", err)
	}
}

func TestOAuth2AuthenticatesInOneStatedWay(t *testing.T) {
	for _, c := range []struct {
		name   string
		client *refresh.OAuth2
		basic  bool
		form   string
	}{
		{
			"a secret goes in the header",
			&refresh.OAuth2{ClientID: "a:b", ClientSecret: "s&ü"},
			true,
			"grant_type=refresh_token&refresh_token=old",
		},
		{
			"or in the form",
			&refresh.OAuth2{ClientID: "a:b", ClientSecret: "s&ü", AuthMethod: "client_secret_post"},
			false,
			"client_id=a%3Ab&client_secret=s%26%C3%BC&grant_type=refresh_token&refresh_token=old",
		},
		{
			"a public client is named in the form",
			&refresh.OAuth2{ClientID: "a:b", Scopes: []string{"x", "y"}},
			false,
			"client_id=a%3Ab&grant_type=refresh_token&refresh_token=old&scope=x+y",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, method := range []string{"refresh", "revoke"} {
				var calls int
				c.client.TokenURL, c.client.RevokeURL = "https://provider.test/t?a=b", "https://provider.test/r"
				c.client.Client = refreshtest.Client(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					calls++
					user, password, ok := r.BasicAuth()
					if ok != c.basic || ok && (user != "a%3Ab" || password != "s%26%C3%BC") {
						t.Errorf("basic %t, %s:%s", ok, user, password)
					}
					body, _ := io.ReadAll(r.Body)
					want := c.form
					if method == "revoke" {
						want = strings.Replace(want, "grant_type=refresh_token&refresh_token=old", "token=old&token_type_hint=refresh_token", 1)
						want = strings.TrimSuffix(want, "&scope=x+y")
					}
					if string(body) != want {
						t.Errorf("the form is %s, want %s", body, want)
					}
					w.WriteHeader(http.StatusUnauthorized)
					io.WriteString(w, `{"error":"invalid_grant"}`)
				}))
				var err error
				if method == "refresh" {
					_, err = c.client.Refresh(t.Context(), refresh.Tokens{Refresh: "old"})
				} else {
					err = c.client.Revoke(t.Context(), refresh.Tokens{Refresh: "old", Access: "access"})
				}
				if err == nil || calls != 1 {
					t.Errorf("%s: %d calls, %v: want one refusal", method, calls, err)
				}
				if denied := errors.Is(err, refresh.ErrDenied); denied != (method == "refresh") {
					t.Errorf("%s: denied is %t", method, denied)
				}
			}
		})
	}
}

func TestOAuth2Exchange(t *testing.T) {
	provider := &refreshtest.Provider{ClientSecret: secret, Subject: "bob"}
	srv := refreshtest.NewServer(provider)
	defer srv.Close()
	client := &refresh.OAuth2{
		ClientID: "client", ClientSecret: secret, Discovery: &discovery.Provider{Issuer: srv.URL},
	}
	const back = "https://site.test/callback"
	verifier := oauth2.GenerateVerifier()
	code := authorize(t, srv, back, verifier)

	if _, err := client.Exchange(t.Context(), code, oauth2.GenerateVerifier(), back); !errors.Is(err, refresh.ErrDenied) {
		t.Errorf("with another verifier: %v, want ErrDenied", err)
	} else {
		silence.Error(t, err, code, verifier, secret)
	}
	code = authorize(t, srv, back, verifier)
	tok, err := client.Exchange(t.Context(), code, verifier, back)
	if err != nil || tok.Access == "" || tok.Refresh == "" || tok.ID == "" || tok.Expiry.IsZero() {
		t.Fatalf("Exchange = %v, %v, want complete tokens", tok, err)
	}
	if _, err := client.Exchange(t.Context(), code, verifier, back); !errors.Is(err, refresh.ErrDenied) {
		t.Errorf("the code again: %v, want ErrDenied", err)
	}
	if _, err := client.Exchange(t.Context(), "", verifier, back); err == nil || errors.Is(err, refresh.ErrDenied) {
		t.Errorf("no code: %v, want an error of its own", err)
	}
	if err := client.Revoke(t.Context(), tok); err != nil {
		t.Fatal(err)
	}
	if provider.Live(tok) || provider.Stats().Revoked != 1 {
		t.Error("the login is not revoked")
	}
}

func authorize(t *testing.T, srv *httptest.Server, back, verifier string) string {
	t.Helper()
	conf := oauth2.Config{ClientID: "client", Endpoint: oauth2.Endpoint{AuthURL: srv.URL + "/authorize"}, RedirectURL: back}
	browser := srv.Client()
	browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := browser.Get(conf.AuthCodeURL("state", oauth2.S256ChallengeOption(verifier)))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	at, err := resp.Location()
	if err != nil || at.Query().Get("state") != "state" || at.Query().Get("iss") != srv.URL || at.Query().Get("code") == "" {
		t.Fatalf("the way back is %v, %v", at, err)
	}
	return at.Query().Get("code")
}

func TestOAuth2Revoke(t *testing.T) {
	provider := &refreshtest.Provider{}
	tok := provider.Login("alice")
	client := &refresh.OAuth2{
		ClientID: "client", TokenURL: provider.URL("/token"), RevokeURL: provider.URL("/revoke"), Client: provider.Client(),
	}
	if err := client.Revoke(t.Context(), refresh.Tokens{Access: tok.Access}); err != nil {
		t.Fatal(err)
	}
	if provider.Live(tok) {
		t.Error("revoking the access token alone did not end the login")
	}
	if err := client.Revoke(t.Context(), refresh.Tokens{}); err != nil {
		t.Errorf("nothing to revoke: %v", err)
	}
	client.RevokeURL = ""
	if err := client.Revoke(t.Context(), tok); err != refresh.ErrNoRevocation {
		t.Errorf("no revocation endpoint: %v", err)
	}
	if n := provider.Stats().Revoked; n != 1 {
		t.Errorf("%d logins revoked, want 1", n)
	}
}

func TestOAuth2NeverFollowsARedirect(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		elsewhere := 0
		client := &refresh.OAuth2{
			ClientID: "client", TokenURL: "https://provider.test/token", RevokeURL: "https://provider.test/revoke",
			Client: refreshtest.Client(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodPost || r.URL.Path == "/elsewhere" {
					elsewhere++
				}
				http.Redirect(w, r, "/elsewhere", status)
			})),
		}
		_, err := client.Refresh(t.Context(), refresh.Tokens{Refresh: "old"})
		for _, err := range []error{err, client.Revoke(t.Context(), refresh.Tokens{Refresh: "old"})} {
			refused, ok := errors.AsType[*refresh.ProviderError](err)
			if !ok || refused.Status != status || errors.Is(err, refresh.ErrDenied) {
				t.Errorf("%d: error is %v", status, err)
			}
		}
		if elsewhere != 0 {
			t.Errorf("%d was followed", status)
		}
	}
}

func TestOAuth2Validate(t *testing.T) {
	good := func() *refresh.OAuth2 { return &refresh.OAuth2{ClientID: "c", TokenURL: "https://p.test/t"} }
	for _, c := range []struct {
		name   string
		change func(*refresh.OAuth2)
		want   string // the field; empty: no error
	}{
		{"the least that is needed", func(*refresh.OAuth2) {}, ""},
		{"http on loopback", func(o *refresh.OAuth2) { o.TokenURL = "http://127.0.0.1:1/t" }, ""},
		{"no client", func(o *refresh.OAuth2) { o.ClientID = "" }, "ClientID"},
		{"no endpoint", func(o *refresh.OAuth2) { o.TokenURL = "" }, "TokenURL"},
		{"http", func(o *refresh.OAuth2) { o.TokenURL = "http://p.test/t" }, "TokenURL"},
		{"a password in the URL", func(o *refresh.OAuth2) { o.TokenURL = "https://u:0123456789abcdef@p.test/t" }, "TokenURL"},
		{"a path", func(o *refresh.OAuth2) { o.RevokeURL = "/revoke" }, "RevokeURL"},
		{"a bad issuer", func(o *refresh.OAuth2) { o.Discovery = &discovery.Provider{Issuer: "p.test"} }, "Discovery"},
		{"a negative time", func(o *refresh.OAuth2) { o.Timeout = -1 }, "Timeout"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := good()
			c.change(o)
			err := o.Validate()
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), "OAuth2."+c.want) {
				t.Fatalf("error is %v, want one that names %s", err, c.want)
			}
			silence.Error(t, err, "0123456789abcdef")
			if _, refused := o.Refresh(t.Context(), refresh.Tokens{Refresh: "old"}); refused == nil || refused.Error() != err.Error() {
				t.Errorf("Refresh says %v, want the same", refused)
			}
		})
	}
	if err := (*refresh.OAuth2)(nil).Validate(); err == nil {
		t.Error("a nil OAuth2 is valid")
	}
}
