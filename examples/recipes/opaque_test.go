package recipes

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
)

func Example_opaqueTokens() {
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.FormValue("token") {
		case "of-ann":
			fmt.Fprint(w, `{"active":true,"sub":"ann","client_id":"web"}`)
		case "of-ann-elsewhere":
			fmt.Fprint(w, `{"active":true,"sub":"ann","client_id":"another-site"}`)
		default:
			fmt.Fprint(w, `{"active":false}`)
		}
	}))
	defer provider.Close()
	issuer := "https://login.example"
	client := &refresh.OAuth2{
		ClientID: "web", ClientSecret: "of the client",
		TokenURL: provider.URL + "/token", IntrospectURL: provider.URL + "/introspect",
	}

	tokens := &verify.Introspection{
		Ask:     client.Introspect,
		Issuer:  issuer,
		Clients: []string{client.ClientID}, // none that another site has got
	}
	auth := &middleware.Auth{Verifier: tokens, Refresher: client}

	defer tokens.Close()
	defer auth.Close()
	for _, token := range []string{"of-ann", "of-ann-elsewhere", "made-up"} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := serve(auth.Require(http.HandlerFunc(hello)), r)
		fmt.Println(w.Code, w.Header().Get("WWW-Authenticate") == "")
	}
	// Output:
	// 200 true
	// 401 false
	// 401 false
}
