package main

import (
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/tokenlife/tokenlife/cookies"
	"github.com/tokenlife/tokenlife/middleware/login"
	"github.com/tokenlife/tokenlife/middleware/login/providers"
	"github.com/tokenlife/tokenlife/refresh/clientauth"
	"github.com/tokenlife/tokenlife/refresh/discovery"
)

// A config is the environment, read and checked.
type config struct {
	listen    string
	tls       *tls.Config
	publicURL string // an origin; empty until settlePublicURL
	upstream  *url.URL

	public  []string // PUBLIC_PATHS, without a trailing slash
	trusted []string

	provider               providers.Provider
	clientID, clientSecret string
	clientKey              *clientauth.Key // may be nil

	keys     *cookies.KeyRing
	madeKeys bool

	store storeConfig

	onServer       bool // SESSIONS=server
	idle, absolute time.Duration

	insecureHTTP, keepCookies bool

	leeway, ahead, grace, keep, remember       time.Duration // negative: none
	refreshTimeout, jwksCooldown, jwksInterval time.Duration

	logLevel      slog.Level
	metricsListen string // empty: off
}

// algorithms that verify knows.
var algorithms = []string{
	"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519",
}

// readConfig returns the configuration in an environment. Its error is one line
// that names the variable that is wrong, and shows no value that may be secret.
func readConfig(getenv func(string) string) (*config, error) {
	e := &environment{getenv: getenv}
	c := &config{
		listen:       e.text("LISTEN", "127.0.0.1:8080"),
		insecureHTTP: e.flag("INSECURE_HTTP"),
		keepCookies:  e.flag("KEEP_COOKIES"),
		upstream:     e.upstream("UPSTREAM"),
		public:       e.paths("PUBLIC_PATHS"),
		trusted:      e.origins("TRUSTED_ORIGINS"),

		leeway: e.duration("LEEWAY", 30*time.Second),
		ahead:  e.duration("AHEAD", 30*time.Second),
		grace:  e.duration("GRACE", 30*time.Second),
		keep:   e.duration("KEEP", 24*time.Hour),

		remember: e.duration("REMEMBER", time.Minute),

		refreshTimeout: e.positive("REFRESH_TIMEOUT", 5*time.Second),
		jwksCooldown:   e.positive("JWKS_COOLDOWN", 10*time.Second),
		jwksInterval:   e.positive("JWKS_REFRESH", 5*time.Minute),

		logLevel:      e.level("LOG_LEVEL"),
		metricsListen: e.text("METRICS_LISTEN", ""),
	}
	c.readProvider(e)
	c.readLogoutHint(e)
	c.readKeys(e)
	c.readStore(e)
	c.readSessions(e)
	c.readTLS(e)
	c.readPublicURL(e)
	c.checkRest(e)
	return c, e.err
}

// readLogoutHint reads how the ID token reaches the provider at a sign-out.
func (c *config) readLogoutHint(e *environment) {
	switch e.text("LOGOUT_HINT", "") {
	case "": // as the provider wants
	case "post":
		c.provider.LogoutHint = login.HintByPost
	case "url":
		c.provider.LogoutHint = login.HintInURL
	case "none":
		c.provider.LogoutHint = login.NoHint
	default:
		e.wrong("LOGOUT_HINT", "must be post, url or none")
	}
}

// readKeys reads COOKIE_KEYS, or makes a key.
func (c *config) readKeys(e *environment) {
	keys := e.hexKeys("COOKIE_KEYS")
	if len(keys) == 0 {
		c.madeKeys = true
		key := make([]byte, 32)
		_, _ = rand.Read(key) // it never returns an error
		keys = [][]byte{key}
	}
	var err error
	if c.keys, err = cookies.NewKeyRing(keys...); err != nil {
		e.wrong("COOKIE_KEYS", err.Error())
	}
}

func (c *config) readTLS(e *environment) {
	cert, key := e.getenv("TLS_CERT"), e.getenv("TLS_KEY")
	switch {
	case cert == "" && key == "":
		return
	case key == "":
		e.wrong("TLS_KEY", "is empty, but TLS_CERT is set")
		return
	case cert == "":
		e.wrong("TLS_CERT", "is empty, but TLS_KEY is set")
		return
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		e.wrong("TLS_CERT", "and TLS_KEY: "+err.Error())
		return
	}
	c.tls = &tls.Config{Certificates: []tls.Certificate{pair}}
}

func (c *config) readPublicURL(e *environment) {
	if _, _, err := net.SplitHostPort(c.listen); err != nil {
		e.wrong("LISTEN", "is not an address such as 127.0.0.1:8080")
	}
	raw := e.getenv("PUBLIC_URL")
	if raw == "" {
		return
	}
	u, err := discovery.ParseInsecureURL(raw)
	_, insecure := discovery.ParseURL(raw)
	switch {
	case err != nil:
		e.wrong("PUBLIC_URL", err.Error()+": it must be an origin such as https://www.example.com")
	case strings.Trim(u.Path, "/") != "" || strings.Contains(raw, "?"):
		e.wrong("PUBLIC_URL", "is not an origin such as https://www.example.com")
	case u.Scheme == "http" && c.tls != nil:
		e.wrong("PUBLIC_URL", "is http, but TLS_CERT is set")
	case u.Scheme == "https" && c.insecureHTTP:
		e.wrong("INSECURE_HTTP", "is set, but PUBLIC_URL is https")
	case insecure != nil && !c.insecureHTTP:
		e.wrong("PUBLIC_URL", "is http and not on this machine: browsers would drop the cookies. Use https, or INSECURE_HTTP=1 for development")
	default:
		c.publicURL = origin(u)
	}
}

// settlePublicURL derives PUBLIC_URL, where it is not given, from the address
// that is listened on.
func (c *config) settlePublicURL(addr net.Addr) error {
	if c.publicURL != "" {
		return nil
	}
	host, _, err := net.SplitHostPort(c.listen)
	if err != nil {
		return fmt.Errorf("gateway: LISTEN: %w", err)
	}
	_, port, err := net.SplitHostPort(addr.String()) // the real one, also for port 0
	if err != nil {
		return fmt.Errorf("gateway: LISTEN: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost" // how a browser on this machine gets here
	}
	u := &url.URL{Scheme: "http", Host: net.JoinHostPort(host, port)}
	if c.tls != nil {
		u.Scheme = "https"
	}
	_, insecure := discovery.ParseURL(u.String())
	switch {
	case u.Scheme == "https" && c.insecureHTTP:
		return errors.New("gateway: INSECURE_HTTP is set, but TLS_CERT as well")
	case insecure != nil && !c.insecureHTTP:
		return errors.New("gateway: PUBLIC_URL is empty, and http on LISTEN is not on this machine: browsers would drop the cookies")
	}
	c.publicURL = origin(u)
	return nil
}

// checkRest checks what no other function does, and what variables have to do
// with each other.
func (c *config) checkRest(e *environment) {
	if _, _, err := net.SplitHostPort(c.metricsListen); err != nil && c.metricsListen != "" {
		e.wrong("METRICS_LISTEN", "is not an address such as 127.0.0.1:9464")
	}
}
