package discovery_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/tokenlife/tokenlife/refresh/discovery"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// A provider that goes down takes nothing away from who has asked before.
func ExampleProvider_Metadata() {
	srv := refreshtest.NewServer(new(refreshtest.Provider)) // stands for yours
	provider := &discovery.Provider{Issuer: srv.URL}
	first, err := provider.Metadata(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	srv.Close()
	second, err := provider.Metadata(context.Background())
	fmt.Println(second.TokenEndpoint == first.TokenEndpoint, err)
	// Output: true <nil>
}

// A document that names another issuer is not believed, whoever serves it.
func ExampleProvider_Metadata_anotherIssuer() {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"issuer": "https://elsewhere.example", "token_endpoint": "https://elsewhere.example/token"}`)
	}))
	defer srv.Close()
	m, err := (&discovery.Provider{Issuer: srv.URL}).Metadata(context.Background())
	fmt.Printf("%q %t\n", m.TokenEndpoint, err != nil)
	// Output: "" true
}

func ExampleProvider_Validate() {
	provider := &discovery.Provider{Issuer: "http://accounts.example.com"}
	fmt.Println(provider.Validate())
	// Output: discovery: Issuer must be https; http is for loopback hosts only
}
