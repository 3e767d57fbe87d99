package refresh_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"net/http"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/clientauth"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// A client proves its identity with a private key: Key.File names the PEM file
// of a real one.
func ExampleOAuth2_key() {
	provider := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // stands for yours
		fmt.Println("the provider gets an assertion:", r.PostFormValue("client_assertion") != "")
		fmt.Fprint(w, `{"access_token":"new","refresh_token":"next"}`)
	})
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &refresh.OAuth2{
		ClientID: "client",
		TokenURL: "https://provider.test/token",
		Key:      &clientauth.Key{Signer: private, Audience: clientauth.AudienceEndpoint}, // Okta and Entra ID want this audience
		Client:   refreshtest.Client(provider),
	}
	tokens, err := client.Refresh(context.Background(), refresh.Tokens{Refresh: "first"})
	fmt.Println(tokens.Refresh, err)
	// Output:
	// the provider gets an assertion: true
	// next <nil>
}

// Parameters that a provider wants besides those of the standard, such as the
// APIs that the access token is for (RFC 8707).
func ExampleOAuth2_tokenParams() {
	provider := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // stands for yours
		r.PostFormValue("")
		fmt.Println("for", r.PostForm["resource"])
		fmt.Fprint(w, `{"access_token":"new"}`)
	})
	client := &refresh.OAuth2{
		ClientID:    "client",
		TokenURL:    "https://provider.test/token",
		TokenParams: map[string][]string{"resource": {"https://orders.example", "https://stock.example"}},
		Client:      refreshtest.Client(provider),
	}
	_, err := client.Refresh(context.Background(), refresh.Tokens{Refresh: "first"})
	fmt.Println(err)
	// Output:
	// for [https://orders.example https://stock.example]
	// <nil>
}
