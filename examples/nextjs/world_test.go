package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/examples/internal/guard/leak"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

const (
	accessLife = 8 * time.Second

	// grace is the default of the API and the gateway. It is not made shorter:
	// Chromium reads a request's cookies before it has a connection for it. Of
	// twenty windows at once the last come with the old cookies for as long as the
	// first take to load, which on a busy machine is more than ten seconds.
	grace = refresh.DefaultGrace
)

// A world is the example with a provider that is watched.
type world struct {
	*site
	provider *refreshtest.Provider

	mu      sync.Mutex
	issues  map[string][]issue // by subject
	secrets []string
}

// An issue is what the token endpoint has given.
type issue struct {
	asked  time.Time // when it was asked
	expiry time.Time // of the access token
}

// due is the earliest time at which the access token may be exchanged: with a
// quarter of its life left, or up to a second before that where the marker has
// gone, which lives for whole seconds.
func (i issue) due() time.Time { return i.expiry.Add(-accessLife/4 - time.Second) }

// newWorld builds and starts everything.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		provider: &refreshtest.Provider{AccessLife: accessLife},
		issues:   map[string][]issue{},
	}
	var log output
	s, err := start(t.Context(), config{
		gateway:         freeAddress(t, "127.0.0.1"),
		next:            freeAddress(t, "localhost"),
		provider:        w.provider,
		providerHandler: w.watch(signInPage(w.provider)),
		log:             &log,
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, log.text())
	}
	w.site = s
	t.Cleanup(func() {
		s.close()
		for _, address := range []string{s.gatewayURL, s.nextURL} {
			if conn, err := net.Dial("tcp", strings.TrimPrefix(address, "http://")); err == nil {
				conn.Close()
				t.Errorf("%s is still served", address)
			}
		}
		leak.Keep(t, "nextjs", []byte(log.text()))
		if t.Failed() {
			t.Logf("the provider saw %+v, and the parts wrote:\n%s", w.provider.Stats(), log.text())
		}
	})
	return w
}

// watch notes what the token endpoint gives.
func (w *world) watch(provider http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/token" {
			provider.ServeHTTP(rw, r)
			return
		}
		asked, answer := time.Now(), httptest.NewRecorder()
		provider.ServeHTTP(answer, r)
		w.note(asked, answer.Body.Bytes())
		for name, values := range answer.Header() {
			rw.Header()[name] = values
		}
		rw.WriteHeader(answer.Code)
		_, _ = rw.Write(answer.Body.Bytes())
	})
}

func (w *world) note(asked time.Time, body []byte) {
	var tokens struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
		ID      string `json:"id_token"`
	}
	if json.Unmarshal(body, &tokens) != nil || tokens.Access == "" {
		return
	}
	var claims struct {
		Subject string `json:"sub"`
		Expiry  int64  `json:"exp"`
	}
	parts := strings.Split(tokens.Access, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(payload, &claims) != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.issues[claims.Subject] = append(w.issues[claims.Subject], issue{asked, time.Unix(claims.Expiry, 0)})
	w.secrets = append(w.secrets, tokens.Access, tokens.Refresh, tokens.ID)
}

// issued returns what subject has been given, the oldest first.
func (w *world) issued(subject string) []issue {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.issues[subject])
}

// left returns how long the newest access token of subject is still good.
func (w *world) left(subject string) time.Duration {
	issued := w.issued(subject)
	return time.Until(issued[len(issued)-1].expiry)
}

// freeAddress returns an address that nothing listens on, for a process that
// cannot be given a listener. The system hands out ports in no order, so hardly
// anything takes it in between.
func freeAddress(t *testing.T, host string) string {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort(host, port)
}

// patience is how long an answer may take on a busy machine.
const patience = 30 * time.Second

// output is what several processes write.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) text() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// installed reports whether Node.js is here with the packages of the lockfile.
func installed(ctx context.Context) bool {
	dir, err := webFolder(ctx)
	if err != nil {
		return false
	}
	node, err := exec.LookPath("node")
	return err == nil && (&web{node: node, dir: dir}).installed()
}
