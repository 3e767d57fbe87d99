package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/login"
	"github.com/tokenlife/tokenlife/middleware/login/providers"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/discovery"
	"github.com/tokenlife/tokenlife/refresh/sessions"
)

// A gateway is the parts that a configuration asks for, put together.
type gateway struct {
	config            *config
	log               *slog.Logger
	discovery         *discovery.Provider // nil: nothing is left to it
	parts             *providers.Parts
	coordinator       *refresh.Coordinator
	auth              *middleware.Auth // of the parts
	flow              *login.Flow      // of the parts
	store             *store
	sessions          *sessions.Sessions      // nil: logins are in cookies
	revocations       *middleware.Revocations // nil: logins are in the store
	storeDegraded     seldom
	revocationsFailed seldom
	transport         *http.Transport // to the upstream
	metrics           *metrics        // nil: off
}

func newGateway(c *config, log *slog.Logger) (*gateway, error) {
	g := &gateway{config: c, log: log, transport: newTransport()}
	var err error
	if g.metrics, err = newMetrics(c.metricsListen); err != nil {
		return nil, err
	}
	if g.parts, err = c.setUp(); err != nil {
		return nil, err
	}
	g.flow = g.parts.Flow
	client := g.parts.Client
	// The Coordinator stops waiting after REFRESH_TIMEOUT, and lets the call go
	// on so that a late answer is not lost.
	client.Timeout = 2 * c.refreshTimeout
	if g.discovery = client.Discovery; g.discovery != nil {
		g.discovery.Timeout = c.refreshTimeout
	}
	for _, verifier := range []middleware.Verifier{g.parts.Verifier, g.flow.IDTokens, g.flow.LogoutTokens} {
		if j, ok := verifier.(*verify.JWT); ok {
			j.Cooldown, j.KeysMaxAge = c.jwksCooldown, c.jwksInterval
		}
	}
	switch v := g.parts.Verifier.(type) {
	case *verify.Introspection:
		v.Remember = c.remember
	case *verify.UserInfo:
		v.Remember = c.remember
	}
	if g.store, err = openStore(c.store, log); err != nil {
		return nil, err
	}
	g.coordinator = &refresh.Coordinator{
		Refresher: g.keepLogins(client),
		Store:     g.store.Store,
		Grace:     c.grace,
		Keep:      c.keep,
		Timeout:   c.refreshTimeout,
	}
	crossOrigin := http.NewCrossOriginProtection()
	public, _ := url.Parse(c.publicURL) // it has been made from a URL
	for _, o := range append([]string{asBrowsersWrite(public)}, c.trusted...) {
		if err := crossOrigin.AddTrustedOrigin(o); err != nil {
			return nil, fmt.Errorf("gateway: PUBLIC_URL or TRUSTED_ORIGINS: %w", err)
		}
	}
	g.auth = g.parts.Auth
	g.auth.Cookies.Keys, g.auth.Cookies.InsecureHTTP = c.keys, c.insecureHTTP
	g.auth.Refresher = g.coordinator
	g.auth.Ahead = c.ahead
	g.auth.CrossOrigin = crossOrigin
	g.auth.ForwardToken = true
	g.auth.LoginURL = "/auth/login"
	g.auth.Observe = g.observe
	g.auth.Revocations = g.revocations

	g.flow.Store = g.store.Store
	g.flow.Timeout = c.refreshTimeout
	if g.sessions != nil { // else the revocations do it
		g.flow.OnLogout = g.loggedOut
	}
	if err := errors.Join(g.auth.Validate(), g.flow.Validate()); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	return g, nil
}

// close ends what the gateway has started. The server has been shut down.
func (g *gateway) close() {
	g.transport.CloseIdleConnections()
	closers := []func() error{g.parts.Close, g.coordinator.Close}
	if g.sessions != nil {
		closers = append(closers, g.sessions.Close)
	}
	for _, close := range append(closers, g.store.close) {
		if err := close(); err != nil {
			g.log.Warn("stopping", "error", err.Error())
		}
	}
}

// tryDiscovery says early what users would else be the first to find out. The
// provider may come up later: everything that needs it asks again.
func (g *gateway) tryDiscovery(ctx context.Context) {
	if g.discovery == nil {
		return
	}
	if _, err := g.discovery.Metadata(ctx); err != nil && ctx.Err() == nil {
		g.log.Warn("the provider's metadata cannot be used yet", "error", err.Error())
	}
}
