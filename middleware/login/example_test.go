package login_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"

	"github.com/tokenlife/tokenlife/cookies"
	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/login"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/discovery"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// A site whose pages need a login, and a browser that opens one of them.
func Example() {
	provider := refreshtest.NewServer(&refreshtest.Provider{Subject: "alice"})
	defer provider.Close()

	verifier, err := verify.New(verify.Issuer{URL: provider.URL, Audience: []string{"api"}})
	if err != nil {
		log.Fatal(err)
	}
	defer verifier.Close()
	client := &refresh.OAuth2{ClientID: "client", Discovery: &discovery.Provider{Issuer: provider.URL}}
	auth := &middleware.Auth{
		Verifier: verifier, Refresher: client, LoginURL: "/login",
		Cookies: cookies.Policy{KeepID: true}, // the provider wants the ID token at a sign-out
	}
	defer auth.Close()

	mux := http.NewServeMux()
	site := httptest.NewTLSServer(mux)
	defer site.Close()

	flow := &login.Flow{Auth: auth, Client: client, RedirectURL: site.URL + "/callback"}
	if err := flow.Validate(); err != nil {
		log.Fatal(err)
	}
	defer flow.Close()
	mux.Handle("/login", flow.Start())
	mux.Handle("/callback", flow.Callback())
	mux.Handle("/logout", auth.Logout(flow.EndSession))
	mux.Handle("/", auth.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := middleware.FromContext(r.Context())
		fmt.Fprintf(w, "%s, for %s", r.URL, token.Subject)
	})))

	// The browser is sent to the provider, which knows the user, and back.
	browser := site.Client()
	browser.Jar, _ = cookiejar.New(nil)
	r, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, site.URL+"/orders?year=2026", nil)
	r.Header.Set("Accept", "text/html")
	resp, err := browser.Do(r)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	var page [64]byte
	n, _ := resp.Body.Read(page[:])
	fmt.Println(resp.StatusCode, string(page[:n]))

	// Output:
	// 200 /orders?year=2026, for alice
}
