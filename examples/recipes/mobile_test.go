package recipes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/middlewaretest"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/local"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// Browsers and apps at one handler.
func Example_mobileClients() {
	provider := new(middlewaretest.Provider)
	defer provider.Close()
	auth := &middleware.Auth{Verifier: provider, Refresher: provider}
	defer auth.Close()
	api := auth.Require(http.HandlerFunc(hello))

	browser := returning(auth, provider, "ann", "GET", "/")
	w := serve(api, browser)
	fmt.Println("a browser:", w.Code, len(w.Result().Cookies()), "cookies")

	app := httptest.NewRequest("GET", "/", nil)
	app.Header.Set("Authorization", "Bearer "+provider.Token(map[string]any{"sub": "ann"}))
	w = serve(api, app)
	fmt.Println("an app:", w.Code, len(w.Result().Cookies()), "cookies")

	app.Header.Set("Authorization", "Bearer "+provider.Token(expired("ann")))
	w = serve(api, app)
	fmt.Println("whose token has ended:", w.Code, strings.Contains(w.Header().Get("WWW-Authenticate"), `error="invalid_token"`))
	app.Method = "POST"
	fmt.Println("which cannot be refreshed here:", serve(auth.RefreshHandler(), app).Code)
	// Output:
	// a browser: 200 3 cookies
	// an app: 200 0 cookies
	// whose token has ended: 401 true
	// which cannot be refreshed here: 401
}

// tokenEndpoint is where apps refresh the logins of your own users (RFC 6749,
// section 6). A provider has such an endpoint already.
func tokenEndpoint(issuer *local.Issuer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
		t, err := issuer.Refresh(r.Context(), refresh.Tokens{Refresh: r.PostFormValue("refresh_token")})
		if err != nil {
			middleware.WriteError(w, r, err) // 401: sign in again; 503: come again, still signed in
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(map[string]any{
			"token_type": "Bearer", "access_token": t.Access, "refresh_token": t.Refresh,
			"expires_in": int(time.Until(t.Expiry).Seconds()),
		})
	})
}

func TestAnAppRefreshesByItself(t *testing.T) {
	issuer := &local.Issuer{URL: "https://shop.example", Audience: []string{"shop"}}
	login, err := issuer.Login(t.Context(), "ann")
	if err != nil {
		t.Fatal(err)
	}
	endpoint := tokenEndpoint(issuer)
	ask := func(token string) (status int, access, next string) {
		r := httptest.NewRequest("POST", "/token", strings.NewReader(url.Values{"refresh_token": {token}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := serve(endpoint, r)
		var answer struct {
			Access  string `json:"access_token"`
			Refresh string `json:"refresh_token"`
			Life    int    `json:"expires_in"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Fatal(err)
		}
		if w.Code == 200 && (answer.Life <= 0 || answer.Life > 300) {
			t.Errorf("expires in %d", answer.Life)
		}
		return w.Code, answer.Access, answer.Refresh
	}
	status, access, next := ask(login.Refresh)
	if status != 200 || access == "" || access == login.Access || next == login.Refresh {
		t.Fatal("the first refresh:", status)
	}
	if status, _, again := ask(login.Refresh); status != 200 || again != next {
		t.Error("an answer that was lost is not given again:", status)
	}
	if status, _, after := ask(next); status != 200 || after == next {
		t.Error("the second refresh:", status)
	}
	if status, _, _ := ask("made-up"); status != 401 {
		t.Error("a made-up token:", status)
	}
}

// webOrApp accepts the access tokens of a user pool for both of its app clients.
func webOrApp() verify.Issuer {
	pool := verify.Cognito("eu-test-1", "eu-test-1_Pool", "web")
	pool.Check = func(t *verify.Token) error {
		if t.ClientID != "web" && t.ClientID != "app" {
			return errors.New("client_id is neither the site's nor the app's")
		}
		return nil
	}
	return pool
}

func TestTwoAppClientsOfOneUserPool(t *testing.T) {
	for client, want := range map[string]error{"web": nil, "app": nil, "other": verify.ErrInvalid} {
		pool := &refreshtest.Cognito{ClientID: client}
		tokens, err := verify.New(webOrApp())
		if err != nil {
			t.Fatal(err)
		}
		tokens.Client = pool.Client()
		if _, err := tokens.Verify(context.Background(), pool.Login("ann").Access); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", client, err, want)
		}
		if err := tokens.Close(); err != nil {
			t.Error(err)
		}
	}
}
