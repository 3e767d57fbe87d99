package providers

import (
	"path/filepath"
	"testing"

	"github.com/tokenlife/tokenlife/examples/internal/oidcprovider"
)

// The certified npm package oidc-provider, with its features by the client.
var oidcProvider = provider{
	id:     "oidc-provider",
	name:   "oidc-provider 9.13.3",
	start:  startOIDCProvider,
	lacks:  map[string]string{byPreset: "it has none"},
	quirks: quirks{audience: ofTheAPI, confirms: true},
}

type oidcProviderServer struct{ *oidcprovider.Provider }

func startOIDCProvider(t *testing.T, c config) server {
	var clients []any
	for _, client := range c.clients {
		clients = append(clients, with(client, map[string]any{"opaque": client.opaque, "id_token_signed_response_alg": "ES256"}))
	}
	return oidcProviderServer{oidcprovider.Start(t, oidcprovider.Config{
		Listen:       c.address,
		Issuer:       c.issuer,
		Clients:      clients,
		RedirectURIs: []string{c.issuer}, // of the client that is always there
		Audience:     audience,
		AccessLife:   accessLife,
		Algorithm:    "ES256",
		State:        filepath.Join(t.TempDir(), "state.json"),
	})}
}

func (s oidcProviderServer) kill(t *testing.T)    { s.Kill(t) }
func (s oidcProviderServer) restart(t *testing.T) { s.Restart(t) }
func (s oidcProviderServer) rotate(t *testing.T)  { s.Rotate(t) }

func (s oidcProviderServer) revoke(t *testing.T, user, _ string) { s.Revoke(t, user) }
