// Package oidcprovider starts a real OpenID provider for a test: the certified
// npm package oidc-provider, with JWT access tokens of a few seconds, refresh
// tokens that rotate and end their grant when one is used twice, and login
// pages that take any name and password.
//
// It needs Node.js and the packages of its lockfile, and at run time no network
// but loopback. The provider keeps everything in memory and ends with its test.
package oidcprovider

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/examples/internal/guard/leak"
	"github.com/tokenlife/tokenlife/examples/internal/need"
)

// Config is what a provider knows from the start: one client, and one API that
// its access tokens are for.
type Config struct {
	ClientID     string // default "web"
	ClientSecret string // sent by client_secret_basic; default "a-secret-of-the-test-client"

	RedirectURIs           []string // required; where an authorization code may go
	PostLogoutRedirectURIs []string
	BackChannelLogoutURI   string // is told when a user signs out at the provider; default: nobody is

	Audience  string   // of access tokens; default "https://api.example"
	Scopes    []string // that the API knows beside openid and offline_access
	Algorithm string   // of access and ID tokens: RS256, ES256 or EdDSA; default RS256

	// AccessLife is how long an access token lives, in whole seconds; default 4 s.
	AccessLife time.Duration

	// Listen is an address of loopback; default: a free one.
	Listen string
	// Issuer is the provider's own name where a proxy stands before it; default:
	// where it listens.
	Issuer string
	// Clients are more clients, by the names of RFC 7591. One that has "opaque":
	// true gets access tokens that are no JWTs, and are good at userinfo.
	Clients []any
	// State is a file for all that the provider knows, so that it can be killed
	// and started again; default: none.
	State string
}

// withDefaults returns c with its empty fields filled in.
func (c Config) withDefaults() Config {
	set := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	set(&c.ClientID, "web")
	set(&c.ClientSecret, "a-secret-of-the-test-client")
	set(&c.Audience, "https://api.example")
	set(&c.Algorithm, "RS256")
	if c.AccessLife == 0 {
		c.AccessLife = 4 * time.Second
	}
	return c
}

// A Provider is a running OpenID provider. Its methods may be called from
// several goroutines at once, but for Kill and Restart.
type Provider struct {
	Issuer string
	Config Config // with its defaults

	command func() *exec.Cmd
	running *running

	asking sync.Mutex // one order at a time
	mu     sync.Mutex
	events []Event
}

// Start starts a provider that ends with the test. Where Node.js or the npm
// packages are missing it skips the test and says what to install; with CI=true
// in the environment that is a failure instead.
func Start(t testing.TB, c Config) *Provider {
	t.Helper()
	dir := directory(t)
	node := requirements(t, dir)
	c = c.withDefaults()
	clients, err := json.Marshal(append([]any{}, c.Clients...))
	if err != nil {
		t.Fatal(err)
	}
	p := &Provider{Config: c, command: func() *exec.Cmd {
		cmd := exec.Command(node, "server.mjs")
		cmd.Dir = dir
		cmd.Env = []string{
			"PATH=" + os.Getenv("PATH"),
			"CLIENT_ID=" + c.ClientID,
			"CLIENT_SECRET=" + c.ClientSecret,
			"REDIRECT_URIS=" + strings.Join(c.RedirectURIs, " "),
			"POST_LOGOUT_REDIRECT_URIS=" + strings.Join(c.PostLogoutRedirectURIs, " "),
			"BACKCHANNEL_LOGOUT_URI=" + c.BackChannelLogoutURI,
			"AUDIENCE=" + c.Audience,
			"SCOPES=" + strings.Join(c.Scopes, " "),
			"ALGORITHM=" + c.Algorithm,
			"ACCESS_SECONDS=" + strconv.Itoa(int(c.AccessLife/time.Second)),
			"LISTEN=" + c.Listen,
			"ISSUER=" + c.Issuer,
			"CLIENTS=" + string(clients),
			"STATE=" + c.State,
		}
		return cmd
	}}
	t.Cleanup(func() {
		p.stop(t, p.running)
		var secrets []string
		for _, e := range p.events { // whole now
			secrets = append(secrets, e.Secrets()...)
		}
		leak.Secrets(t, map[string][]string{"a token, code or verifier": secrets})
	})
	p.run(t)
	return p
}

// requirements returns the path of Node.js, or ends the test with a line that
// says what is missing.
func requirements(t testing.TB, dir string) string {
	t.Helper()
	node := need.Tool(t, "node", "Node.js 20 or newer, with npm; on Debian: apt-get install nodejs npm")
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "oidc-provider")); err != nil {
		need.Missing(t, "oidcprovider: run: npm ci --prefix examples/internal/oidcprovider")
	}
	return node
}

// directory finds this package's folder from that of the test, a folder of the
// same module: unlike runtime.Caller this also works with -trimpath.
func directory(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		found := filepath.Join(dir, "internal", "oidcprovider")
		if _, err := os.Stat(filepath.Join(found, "server.mjs")); err == nil {
			return found
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("oidcprovider: server.mjs is in no folder above the test's")
		}
		dir = parent
	}
}

// Events returns what has happened so far, in order. It is complete: what led
// to an answer that the provider has given is among the events.
func (p *Provider) Events(t testing.TB) []Event {
	t.Helper()
	// The provider writes its lines in order, so once it has sent this one back
	// all earlier ones have been read.
	p.order(t, "events")
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.events)
}
