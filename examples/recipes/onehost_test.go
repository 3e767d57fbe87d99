package recipes

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/middlewaretest"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/discovery"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
	"github.com/tokenlife/tokenlife/refresh/sessions"
)

// clients are this site's clients at the providers of its tenants, by issuer.
type clients map[string]*refresh.OAuth2

// of returns the client that t came by. Its access token has been verified when
// the login began, and has been on the server since.
func (c clients) of(t refresh.Tokens) (*refresh.OAuth2, error) {
	var claims struct {
		Issuer string `json:"iss"`
	}
	if err := verify.UnverifiedClaims(t.Access, &claims); err != nil {
		return nil, err
	}
	client, ok := c[claims.Issuer]
	if !ok {
		return nil, fmt.Errorf("%w: its tenant has left", refresh.ErrDenied)
	}
	return client, nil
}

func (c clients) Refresh(ctx context.Context, old refresh.Tokens) (refresh.Tokens, error) {
	client, err := c.of(old)
	if err != nil {
		return refresh.Tokens{}, err
	}
	return client.Refresh(ctx, old)
}

func (c clients) Revoke(ctx context.Context, t refresh.Tokens) error {
	client, err := c.of(t)
	if err != nil {
		return err
	}
	return client.Revoke(ctx, t)
}

func Example_tenantsOnOneHost() {
	perTenant := clients{}
	var providers []*refreshtest.Provider
	var issuers []verify.Issuer
	for _, name := range []string{"acme", "ajax"} {
		p := &refreshtest.Provider{ClientID: name + "-web"}
		srv := refreshtest.NewServer(p)
		defer srv.Close()
		providers = append(providers, p)
		issuers = append(issuers, verify.Issuer{URL: srv.URL, Audience: []string{"api"}})
		perTenant[srv.URL] = &refresh.OAuth2{ClientID: p.ClientID, Discovery: &discovery.Provider{Issuer: srv.URL}}
	}
	tokens, err := verify.New(issuers...)
	if err != nil {
		log.Fatal(err)
	}
	defer tokens.Close()
	store := new(refresh.MemoryStore)

	logins := &sessions.Sessions{Refresher: perTenant, Store: store}
	auth := &middleware.Auth{Verifier: tokens, Refresher: logins}

	defer logins.Close()
	defer auth.Close()
	for i, p := range providers {
		r := httptest.NewRequest("POST", "/auth/refresh", nil)
		middlewaretest.SignIn(auth, r, p.Login("ann"))
		w := serve(auth.RefreshHandler(), r)
		fmt.Print(w.Code)
		for i, p := range providers {
			fmt.Printf(", provider %d: %d", i, p.Stats().Refreshed)
		}
		middlewaretest.Keep(r, w.Result())
		w = serve(auth.Logout(nil), r)
		fmt.Println(", signed out:", w.Code, "revoked:", providers[i].Stats().Revoked)
	}
	// Output:
	// 204, provider 0: 1, provider 1: 0, signed out: 204 revoked: 1
	// 204, provider 0: 1, provider 1: 1, signed out: 204 revoked: 1
}
