package recipes

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/middlewaretest"
)

// toAPI passes requests on to a server that verifies access tokens itself, and
// keeps the logins of browsers alive on the way.
func toAPI(api *url.URL, auth *middleware.Auth) http.Handler {
	proxy := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(api)
		p.SetXForwarded()
		auth.Cookies.Strip(p.Out.Header) // the header is all that the API needs
	}}
	return auth.KeepAlive(proxy)
}

func Example_reverseProxy() {
	provider := new(middlewaretest.Provider)
	defer provider.Close()
	tokens, client := provider, provider
	theirs := &middleware.Auth{Verifier: tokens}
	server := httptest.NewServer(theirs.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "cookies:", len(r.Cookies()))
		hello(w, r)
	})))
	defer server.Close()
	api, err := url.Parse(server.URL)
	if err != nil {
		panic(err)
	}

	auth := &middleware.Auth{Verifier: tokens, Refresher: client, ForwardToken: true}
	defer auth.Close()
	handler := toAPI(api, auth)

	w := serve(handler, returning(auth, provider, "ann", "GET", "/"))
	fmt.Print(w.Code, " ", w.Body)
	fmt.Println("new cookies:", len(w.Result().Cookies()))

	r := returning(auth, provider, "ann", "POST", "/")
	r.Header.Set("Origin", "https://evil.example")
	fmt.Println(serve(handler, r).Code) // without a token, the API refuses it

	w = serve(handler, httptest.NewRequest("GET", "/", nil)) // the API's own answer
	answer, err := io.ReadAll(w.Body)
	fmt.Println(w.Code, string(answer), err)
	// Output:
	// 200 cookies: 0
	// hello ann
	// new cookies: 3
	// 401
	// 401 {"title":"Unauthorized","status":401} <nil>
}
