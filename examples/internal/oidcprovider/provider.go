// Package oidcprovider starts a real OpenID provider for a test: the certified
// npm package oidc-provider, with JWT access tokens of a few seconds, refresh
// tokens that rotate and end their grant when one is used twice, and login
// pages that take any name and password.
//
// It needs Node.js and the packages of its lockfile, and at run time no network
// but loopback. The provider keeps everything in memory and ends with its test.
package oidcprovider

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
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
// several goroutines at once.
type Provider struct {
	Issuer string
	Config Config // with its defaults

	stdin io.Writer
	lines chan Event // answers to Events

	asking sync.Mutex // one Events at a time
	mu     sync.Mutex
	events []Event
}

// startTimeout bounds the wait for the provider's first line, which takes about
// half a second on an idle machine.
const startTimeout = 30 * time.Second

// Start starts a provider that ends with the test. Where Node.js or the npm
// packages are missing it skips the test and says what to install; with CI=true
// in the environment that is a failure instead.
func Start(t testing.TB, c Config) *Provider {
	t.Helper()
	dir := directory(t)
	node := requirements(t, dir)
	c = c.withDefaults()

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
	}
	var stderr bytes.Buffer // read only after the process has ended
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}

	p := &Provider{Config: c, stdin: stdin, lines: make(chan Event)}
	ended, dropped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		p.read(stdout, dropped)
		_ = cmd.Wait() // its status tells nothing after a kill
	}()
	t.Cleanup(func() {
		close(dropped)
		_ = stdin.Close()
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			t.Error("oidcprovider: the provider did not stop when its input ended")
			_ = cmd.Process.Kill()
			<-ended
		}
		leak.Keep(t, "oidcprovider", stderr.Bytes())
		var secrets []string
		for _, e := range p.events { // whole now
			secrets = append(secrets, e.Secrets()...)
		}
		leak.Secrets(t, map[string][]string{"a token, code or verifier": secrets})
		if t.Failed() {
			t.Logf("the provider's standard error:\n%s", stderr.String())
		}
	})

	select {
	case first, ok := <-p.lines:
		if !ok || first.Kind != "ready" {
			t.Fatal("oidcprovider: the provider stopped before it was ready")
		}
		p.Issuer = first.Issuer
	case <-time.After(startTimeout):
		t.Fatalf("oidcprovider: the provider was not ready after %v", startTimeout)
	}
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

// read takes in the provider's lines until they end. Answers go to p.lines,
// unless nobody will ask again.
func (p *Provider) read(r io.Reader, dropped <-chan struct{}) {
	defer close(p.lines)
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var e Event
		if json.Unmarshal(line, &e) != nil {
			continue
		}
		if e.Kind == "ready" || e.Kind == "echo" {
			select {
			case p.lines <- e:
			case <-dropped:
			}
			continue
		}
		p.mu.Lock()
		p.events = append(p.events, e)
		p.mu.Unlock()
	}
}

// Events returns what has happened so far, in order. It is complete: what led
// to an answer that the provider has given is among the events.
func (p *Provider) Events(t testing.TB) []Event {
	t.Helper()
	p.asking.Lock()
	defer p.asking.Unlock()

	// The provider writes its lines in order, so once it has sent this one back
	// all earlier ones have been read.
	if _, err := io.WriteString(p.stdin, "events\n"); err != nil {
		t.Fatalf("oidcprovider: the provider is gone: %v", err)
	}
	select {
	case _, ok := <-p.lines:
		if !ok {
			t.Fatal("oidcprovider: the provider is gone")
		}
	case <-time.After(startTimeout):
		t.Fatalf("oidcprovider: no answer after %v", startTimeout)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.events)
}
