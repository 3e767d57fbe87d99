package login_test

import (
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/tokenlife/tokenlife/cookies"
	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/login"
	"github.com/tokenlife/tokenlife/middleware/middlewaretest"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/discovery"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// flowAt is a Flow at a provider, for the examples.
func flowAt(provider *httptest.Server) *login.Flow {
	verifier, err := verify.New(verify.Issuer{URL: provider.URL, Audience: []string{"api"}})
	if err != nil {
		log.Fatal(err)
	}
	client := &refresh.OAuth2{ClientID: "client", Discovery: &discovery.Provider{Issuer: provider.URL}}
	return &login.Flow{
		Auth:        &middleware.Auth{Verifier: verifier, Refresher: client, LoginURL: "/login"},
		Client:      client,
		RedirectURL: "https://shop.example/callback",
	}
}

// The browser is sent to the provider, with all that the code flow asks for.
func ExampleFlow_Start() {
	provider := refreshtest.NewServer(new(refreshtest.Provider))
	defer provider.Close()
	flow := flowAt(provider)
	flow.Scopes = []string{"openid", "offline_access"}

	w := httptest.NewRecorder()
	flow.Start().ServeHTTP(w, httptest.NewRequest("GET", "/login?return_to=/orders", nil))
	to, err := w.Result().Location()
	if err != nil {
		fmt.Println(err)
		return
	}
	q := to.Query()
	fmt.Println(w.Code, to.Path, q.Get("response_type"), q.Get("scope"), q.Get("redirect_uri"))
	fmt.Println(q.Get("code_challenge_method"), q.Has("code_challenge"), q.Has("state"), q.Has("nonce"))
	// Output:
	// 302 /authorize code openid offline_access https://shop.example/callback
	// S256 true true true
}

// The provider tells that a session has ended there: a token of that login, which
// would be good for some minutes more, is refused at once.
func ExampleFlow_BackChannel() {
	provider := new(refreshtest.Provider)
	srv := refreshtest.NewServer(provider)
	defer srv.Close()
	flow := flowAt(srv)
	flow.Auth.Revocations = new(middleware.Revocations)
	mux := http.NewServeMux()
	mux.Handle("/backchannel-logout", flow.BackChannel())
	mux.Handle("/", flow.Auth.Require(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))

	api := httptest.NewRequest("GET", "/", nil)
	api.Header.Set("Authorization", "Bearer "+provider.Login("alice").Access)
	form := url.Values{"logout_token": {provider.LogoutToken(map[string]any{"sub": "alice"})}}
	logout := httptest.NewRequest("POST", "/backchannel-logout", strings.NewReader(form.Encode()))
	logout.Header.Set("Content-Type", "application/x-www-form-urlencoded")

	for _, r := range []*http.Request{api, logout, api} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Println(r.URL.Path, w.Code)
	}
	// Output:
	// / 200
	// /backchannel-logout 200
	// / 401
}

// What a browser gets after signing out, to end the session at the provider too:
// a page that sends the ID token on, by POST.
func ExampleFlow_EndSession() {
	provider := new(refreshtest.Provider)
	srv := refreshtest.NewServer(provider)
	defer srv.Close()
	flow := flowAt(srv)
	flow.Auth.Cookies = cookies.Policy{KeepID: true}
	logout := flow.Auth.Logout(flow.EndSession)

	form := httptest.NewRequest("POST", "/logout", nil)
	form.Header.Set("Sec-Fetch-Mode", "navigate")
	middlewaretest.SignIn(flow.Auth, form, provider.Login("alice"))
	w := httptest.NewRecorder()
	logout.ServeHTTP(w, form)
	page := w.Body.String()
	fmt.Println(w.Code, strings.Contains(page, "id_token_hint"), strings.Contains(page, "https://shop.example/"))
	// Output: 200 true true
}

// A page of one's own for a sign-in that failed. This one was not begun in the
// browser that it ends in.
func ExampleFailure() {
	provider := refreshtest.NewServer(new(refreshtest.Provider))
	defer provider.Close()
	flow := flowAt(provider)
	flow.OnError = func(w http.ResponseWriter, r *http.Request, err error) {
		var failure *login.Failure
		if !errors.As(err, &failure) {
			login.WriteError(w, r, err)
			return
		}
		w.WriteHeader(failure.Status)
		fmt.Fprintf(w, "Signing in did not work. Try again: %s", failure.Again)
	}
	w := httptest.NewRecorder()
	flow.Callback().ServeHTTP(w, httptest.NewRequest("GET", "/callback?code=c&state=s", nil))
	fmt.Println(w.Code, w.Body)
	// Output: 400 Signing in did not work. Try again: /login?return_to=%2F
}

// A mistake is best found when a program starts.
func ExampleFlow_Validate() {
	provider := refreshtest.NewServer(new(refreshtest.Provider))
	defer provider.Close()
	flow := flowAt(provider)
	flow.Scopes = []string{"profile"}
	fmt.Println(flow.Validate())
	// Output: login: Flow.Scopes lacks openid
}
