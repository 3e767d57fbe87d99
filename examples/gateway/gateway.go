package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"

	"github.com/tokenlife/tokenlife/cookies"
	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/login"
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
	access, id        *verify.JWT
	logout            *verify.JWT // the provider's logout tokens
	coordinator       *refresh.Coordinator
	auth              *middleware.Auth
	flow              *login.Flow
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
	if g.access, err = g.verifier(c.accessIssuer()); err != nil {
		return nil, err
	}
	if g.id, err = g.verifier(c.idIssuer()); err != nil {
		return nil, err
	}
	if g.logout, err = g.verifier(c.logoutIssuer()); err != nil {
		return nil, err
	}
	g.logout.CacheTokens = -1 // each comes once
	if c.discovers() {
		g.discovery = &discovery.Provider{Issuer: c.issuer, Timeout: c.refreshTimeout}
	}
	client := &refresh.OAuth2{
		ClientID:     c.clientID,
		ClientSecret: c.clientSecret,
		TokenURL:     c.tokenURL,
		RevokeURL:    c.revokeURL,
		Discovery:    g.discovery,
		// The Coordinator stops waiting after REFRESH_TIMEOUT, and lets the
		// call go on so that a late answer is not lost.
		Timeout: 2 * c.refreshTimeout,
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
	g.auth = &middleware.Auth{
		Verifier:     g.access,
		Cookies:      cookies.Policy{Keys: c.keys, KeepID: c.logoutHint != login.NoHint, InsecureHTTP: c.insecureHTTP},
		Refresher:    g.coordinator,
		Ahead:        c.ahead,
		CrossOrigin:  crossOrigin,
		ForwardToken: true,
		LoginURL:     "/auth/login",
		Observe:      g.observe,
		Revocations:  g.revocations,
	}
	g.flow = &login.Flow{
		Auth:          g.auth,
		Client:        client,
		RedirectURL:   c.publicURL + "/auth/callback",
		Issuer:        c.issuer,
		AuthURL:       c.authURL,
		EndSessionURL: c.endSessionURL,
		LogoutHint:    c.logoutHint,
		Scopes:        c.scopes,
		IDTokens:      g.id,
		LogoutTokens:  g.logout,
		Store:         g.store.Store,
		Timeout:       c.refreshTimeout,
	}
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
	closers := []func() error{g.flow.Close, g.auth.Close, g.coordinator.Close}
	if g.sessions != nil {
		closers = append(closers, g.sessions.Close)
	}
	for _, close := range append(closers, g.store.close, g.access.Close, g.id.Close, g.logout.Close) {
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
		g.log.Warn("the provider cannot be reached yet", "error", err.Error())
	}
}

// verifier returns what checks the tokens of issuer.
func (g *gateway) verifier(issuer verify.Issuer) (*verify.JWT, error) {
	j, err := verify.New(issuer)
	if err != nil {
		return nil, fmt.Errorf("gateway: ISSUER, AUDIENCE, ALGORITHMS or JWKS_URL: %w", err)
	}
	j.Cooldown, j.KeysMaxAge = g.config.jwksCooldown, g.config.jwksInterval
	return j, nil
}

// accessIssuer is the issuer of the access tokens.
func (c *config) accessIssuer() verify.Issuer {
	issuer := verify.Issuer{URL: c.issuer, Audience: c.audience}
	if pool := c.cognito(); pool != nil && len(c.audience) == 0 {
		issuer = verify.Cognito(pool.region, pool.id, c.clientID)
	}
	return c.issuerWith(issuer)
}

// idIssuer is the issuer of the ID tokens, which are for the client.
func (c *config) idIssuer() verify.Issuer {
	issuer := verify.Issuer{URL: c.issuer, Audience: []string{c.clientID}}
	if pool := c.cognito(); pool != nil && len(c.audience) == 0 {
		issuer = verify.CognitoID(pool.region, pool.id, c.clientID)
	}
	return c.issuerWith(issuer)
}

// logoutIssuer is the issuer of the logout tokens, which are for the client. A
// type of their own is recommended to providers and not required (OpenID Connect
// Back-Channel Logout 1.0, section 2.4); the flow looks at what makes them such.
func (c *config) logoutIssuer() verify.Issuer {
	return c.issuerWith(verify.Issuer{
		URL: c.issuer, Audience: []string{c.clientID}, Types: []string{"logout+jwt", "JWT", ""},
	})
}

func (c *config) issuerWith(issuer verify.Issuer) verify.Issuer {
	if c.jwksURL != "" {
		issuer.KeysURL = c.jwksURL
	}
	if len(c.algorithms) > 0 {
		issuer.Algorithms = c.algorithms
	}
	issuer.Leeway = c.leeway
	return issuer
}

// A pool is a user pool of Amazon Cognito.
type pool struct{ region, id string }

// poolURL has both forms of a pool's issuer.
var poolURL = regexp.MustCompile(`^https://(?:issuer-)?cognito-idp\.([a-z0-9-]+)\.amazonaws\.com/([A-Za-z0-9_-]+)$`)

// cognito returns the pool that ISSUER is, or nil.
func (c *config) cognito() *pool {
	m := poolURL.FindStringSubmatch(c.issuer)
	if m == nil {
		return nil
	}
	return &pool{m[1], m[2]}
}
