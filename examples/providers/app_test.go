package providers

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/cookies"
	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/login"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/clientauth"
	"github.com/tokenlife/tokenlife/refresh/discovery"
	"github.com/tokenlife/tokenlife/refresh/event"
)

// serve starts a program of a user of the packages in place of the gateway: one
// that pushes its authorization requests.
func (s *site) serve(t *testing.T) {
	t.Helper()
	key, err := hex.DecodeString(cookieKey)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := cookies.NewKeyRing(key)
	if err != nil {
		t.Fatal(err)
	}
	provider := &discovery.Provider{Issuer: s.front.issuer}
	jwts, err := verify.New(verify.Issuer{
		URL: s.front.issuer, Audience: []string{s.provider.quirks.audience(s.client.ID)}, Leeway: -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	told := &events{}
	client := &refresh.OAuth2{ClientID: s.client.ID, ClientSecret: s.client.Secret, Discovery: provider}
	auth := &middleware.Auth{
		Verifier:     jwts,
		Cookies:      cookies.Policy{Keys: keys},
		Refresher:    client,
		Ahead:        100 * time.Millisecond,
		ForwardToken: true,
		LoginURL:     "/auth/login",
		Observe:      told.observe,
	}
	flow := &login.Flow{
		Auth:         auth,
		Client:       client,
		RedirectURL:  s.url + "/auth/callback",
		Scopes:       []string{"openid", "offline_access"},
		PushRequests: true,
	}
	if err := flow.Validate(); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/auth/login", flow.Start())
	mux.Handle("/auth/callback", flow.Callback())
	mux.Handle("/", auth.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Cookie")
		_ = json.NewEncoder(w).Encode(r.Header)
	})))
	listener, err := net.Listen("tcp", s.addresses[0])
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(mux)
	_ = server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(func() {
		server.Close()
		for _, close := range []func() error{flow.Close, auth.Close, jwts.Close} {
			if err := close(); err != nil {
				t.Error(err)
			}
		}
		s.searchIn(t, told.lines.Bytes())
		if t.Failed() {
			t.Logf("what happened:\n%s", told.lines.Bytes())
		}
	})
}

// events keeps what an Auth tells.
type events struct {
	mu    sync.Mutex
	lines bytes.Buffer
}

func (e *events) observe(_ context.Context, told event.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	fmt.Fprintln(&e.lines, told.Kind, told.Level, told.Err)
}

// livesOnce signs in, and lets 30 requests come when the token has ended that
// is the credential, and so much later as it may take until that is noticed.
func (s *site) livesOnce(t *testing.T, credential func(issued) string, later time.Duration) *grant {
	t.Helper()
	b, l := s.signIn(t)
	_, marker := s.untilExpiry(t, b)
	let(t, later)
	answers := s.atOnce(t, s.cookieHeader(b)) // without the marker
	calls := l.calls()
	if len(calls) != 1 {
		t.Fatalf("%d refreshes at the provider, want 1", len(calls))
	}
	areOf(t, answers, credential(calls[0].issued), marker)
	return l
}

// withOwnKey has the client prove itself by a key, and by no secret.
func withOwnKey(t *testing.T, c *client) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	c.key = &clientauth.Key{File: filepath.Join(t.TempDir(), "key.pem")}
	if err := os.WriteFile(c.key.File, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	if c.Keys, err = c.key.JWKS(); err != nil {
		t.Fatal(err)
	}
	c.Secret, c.AuthMethod = "", clientauth.PrivateKeyJWT
}

// signsAssertions: each call of the token endpoint has an assertion of its own.
func signsAssertions(t *testing.T, s *site) string {
	s.start(t, "CLIENT_AUTH=private_key_jwt", "CLIENT_KEY="+s.client.key.File, "CLIENT_KEY_AUDIENCE="+s.provider.quirks.assertsTo)
	l := s.livesOnce(t, accessToken, 0)
	code, again := l.code.sent.assertion, l.calls()[0].sent.assertion
	if code == "" || again == "" || code == again {
		t.Error("an assertion is missing, or was sent twice")
	}
	return pass
}
