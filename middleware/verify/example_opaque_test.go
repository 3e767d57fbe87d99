package verify_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
)

// Hydra's access tokens are no JWTs unless it is configured to make such.
func ExampleIntrospection() {
	calls := 0
	hydra := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls++
		w.Header().Set("Content-Type", "application/json")
		if r.FormValue("token") != "ory_at_of-ada" {
			fmt.Fprint(w, `{"active":false}`)
			return
		}
		fmt.Fprintf(w, `{"active":true,"iss":%q,"sub":"ada","client_id":"shop","scope":"openid read",
			"token_type":"Bearer","token_use":"access_token","exp":%d,"ext":{"plan":"paid"}}`,
			exampleURL, time.Now().Add(time.Hour).Unix())
	}))
	defer hydra.Close()

	client := &refresh.OAuth2{ // also the client of login.Flow, and the Auth's Refresher
		ClientID: "shop", ClientSecret: "the client's secret",
		TokenURL:      hydra.URL + "/oauth2/token",
		IntrospectURL: hydra.URL + "/admin/oauth2/introspect",
	}
	tokens := &verify.Introspection{ // the Verifier of a middleware.Auth
		Ask:     client.Introspect,
		Issuer:  exampleURL,
		Clients: []string{client.ClientID},
	}
	if err := tokens.Validate(); err != nil {
		fmt.Println(err)
		return
	}
	defer tokens.Close()

	for range 1000 {
		token, err := tokens.Verify(context.Background(), "ory_at_of-ada")
		if err != nil || token.Subject != "ada" || !token.HasScope("read") {
			fmt.Println(token, err)
			return
		}
	}
	token, _ := tokens.Verify(context.Background(), "ory_at_of-ada")
	var more struct {
		Ext struct{ Plan string } `json:"ext"`
	}
	fmt.Println(token.Claims(&more), more.Ext.Plan, "after", calls, "call")

	_, err := tokens.Verify(context.Background(), "ory_at_of-somebody")
	fmt.Println(err, errors.Is(err, verify.ErrInvalid))
	// Output:
	// <nil> paid after 1 call
	// verify: token refused: not active, by its provider true
}

// GitHub has no introspection endpoint for the tokens of its Apps, and no ID
// tokens.
func ExampleUserInfo() {
	gitHub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer ghu_of-ada" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		fmt.Fprint(w, `{"login":"ada","id":90210417,"type":"User","name":"Ada Example"}`)
	}))
	defer gitHub.Close()

	client := &refresh.OAuth2{
		ClientID: "Iv1.0123456789abcdef", ClientSecret: "the client's secret",
		TokenURL:    "https://github.com/login/oauth/access_token",
		UserInfoURL: gitHub.URL + "/user", // https://api.github.com/user
	}
	tokens := &verify.UserInfo{
		Ask:          client.UserInfo,
		Issuer:       "https://github.com",
		SubjectClaim: "id", // a login can be renamed, and taken by somebody else
		AnyClient:    true, // tokens of other Apps are good here as well
	}
	defer tokens.Close()

	token, err := tokens.Verify(context.Background(), "ghu_of-ada")
	var user struct{ Login string }
	fmt.Println(token.Subject, err, token.Claims(&user), user.Login)

	_, err = tokens.Verify(context.Background(), "ghu_of-somebody")
	fmt.Println(err, errors.Is(err, verify.ErrInvalid))
	// Output:
	// 90210417 <nil> <nil> ada
	// verify: token refused: not active, by its provider true
}
