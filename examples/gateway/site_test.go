package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/cookies"
	"github.com/tokenlife/tokenlife/examples/internal/guard/leak"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

const (
	testSecret = "Zq8-client-secret-of-a-test"
	testKey    = "8f1d0c3b5a79e8d7c6b5a4f3e2d1c0b9a8978675645342312f1e0d0c0b0a0908"

	// A test that waits longer than this has failed.
	patience = 20 * time.Second
)

// A site is the gateway, run in this process, between a fake provider and an
// upstream.
type site struct {
	provider *refreshtest.Provider
	upstream *httptest.Server
	url      string // of the gateway
	client   *http.Client

	stop  func() error
	lines *logLines

	mu      sync.Mutex
	secrets []string
	seen    []*http.Request // by the upstream
	asked   map[string]int  // requests to the provider, by path
}

// newSite starts a gateway before an upstream that echoes requests. What env has
// replaces and adds to the variables that it needs; PROVIDER in a value becomes
// the provider's URL.
func newSite(t *testing.T, env map[string]string) *site {
	t.Helper()
	return newSiteBefore(t, env, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.RequestURI)
	}))
}

func newSiteBefore(t *testing.T, env map[string]string, upstream http.Handler) *site {
	t.Helper()
	s := &site{
		provider: &refreshtest.Provider{ClientSecret: testSecret},
		asked:    map[string]int{},
		client:   &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1000}, Timeout: patience},
	}
	s.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	s.upstream = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.seen = append(s.seen, r.Clone(context.Background()))
		s.mu.Unlock()
		upstream.ServeHTTP(w, r)
	}))
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked[r.URL.Path]++
		s.mu.Unlock()
		s.provider.ServeHTTP(w, r)
	}))
	s.provider.Issuer = provider.URL
	variables := map[string]string{
		"LISTEN":        "127.0.0.1:0",
		"UPSTREAM":      s.upstream.URL,
		"ISSUER":        provider.URL,
		"CLIENT_ID":     "client",
		"CLIENT_SECRET": testSecret,
		"AUDIENCE":      "api",
		"COOKIE_KEYS":   testKey,
		"LOG_LEVEL":     "debug",
	}
	for name, value := range env {
		variables[name] = strings.ReplaceAll(value, "PROVIDER", provider.URL)
	}
	s.run(t, variables)
	t.Cleanup(func() {
		s.client.CloseIdleConnections()
		if err := s.stop(); err != nil {
			t.Errorf("the gateway ends with: %v", err)
		}
		provider.CloseClientConnections() // some hang on purpose
		provider.Close()
		s.upstream.Close()
		s.silent(t)
	})
	return s
}

// run starts the gateway and waits until it listens.
func (s *site) run(t *testing.T, env map[string]string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s.lines = &logLines{address: make(chan string, 1)}
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, func(name string) string { return env[name] }, s.lines) }()
	s.stop = sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(patience):
			return context.DeadlineExceeded
		}
	})
	select {
	case address := <-s.lines.address:
		s.url = "http://" + address
	case err := <-ended:
		cancel()
		t.Fatalf("the gateway does not start: %v", err)
	case <-time.After(patience):
		t.Fatal("the gateway does not listen")
	}
}

// silent checks that the log has no 12 characters of any secret (promise 11).
func (s *site) silent(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	leak.Keep(t, "gateway", []byte(s.lines.text()))
	secrets := map[string][]string{"the client's secret": {testSecret}, "the key": {testKey}, "a token, code, state or cookie": s.secrets}
	for _, name := range leak.Find(t, []byte(s.lines.text()), secrets) {
		t.Errorf("the log contains %s", name)
	}
}

func (s *site) secret(values ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secrets = append(s.secrets, values...)
}

// lastSeen returns the last request that the upstream got, or nil.
func (s *site) lastSeen() *http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.seen) == 0 {
		return nil
	}
	return s.seen[len(s.seen)-1]
}

// requests returns how many requests for a path the provider has got.
func (s *site) requests(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[path]
}

// logLines collects the log.
type logLines struct {
	mu      sync.Mutex
	all     bytes.Buffer
	address chan string // where the gateway listens
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all.Write(p)
	var line struct{ Msg, Address string }
	if json.Unmarshal(p, &line) == nil && line.Msg == "listening" {
		l.address <- line.Address
	}
	return len(p), nil
}

func (l *logLines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// has reports whether there is a line with this level and message.
func (l *logLines) has(level, msg string) bool {
	for line := range strings.Lines(l.text()) {
		var v struct{ Level, Msg string }
		if json.Unmarshal([]byte(line), &v) == nil && v.Level == level && v.Msg == msg {
			return true
		}
	}
	return false
}

// An answer is a response, read to its end.
type answer struct {
	status int
	header http.Header
	body   string
	set    []*http.Cookie
}

func (a answer) location() string { return a.header.Get("Location") }

// cookie returns the value that the answer sets for a cookie.
func (a answer) cookie(name string) string {
	for _, c := range a.set {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// do sends a request with these cookies to the gateway, as a script of the site
// does unless the headers say something else.
func (s *site) do(t *testing.T, method, path, cookie string, headers ...string) answer {
	t.Helper()
	a, err := s.try(t.Context(), method, path, cookie, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (s *site) try(ctx context.Context, method, path, cookie string, headers ...string) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, s.url+path, nil)
	if err != nil {
		return answer{}, err
	}
	r.Header.Set("Sec-Fetch-Mode", "cors")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if cookie != "" {
		r.Header.Set("Cookie", cookie)
	}
	for pair := range slices.Chunk(headers, 2) {
		r.Header.Set(pair[0], pair[1])
	}
	resp, err := s.client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	a := answer{resp.StatusCode, resp.Header, string(body), resp.Cookies()}
	for _, c := range a.set {
		if c.Name != cookies.Life {
			s.secret(c.Value)
		}
	}
	return a, err
}

// begin starts a sign-in, and returns the callback's path and query, and the
// cookie of the attempt.
func (s *site) begin(t *testing.T, returnTo string) (callback, cookie string) {
	t.Helper()
	a := s.do(t, http.MethodGet, "/auth/login?return_to="+url.QueryEscape(returnTo), "", "Sec-Fetch-Mode", "navigate")
	if a.status != http.StatusFound || len(a.set) != 1 {
		t.Fatalf("the start is answered with %d", a.status)
	}
	resp, err := s.client.Get(a.location())
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	back, err := resp.Location()
	if err != nil {
		t.Fatal(err)
	}
	asked, err := url.Parse(a.location())
	if err != nil {
		t.Fatal(err)
	}
	s.secret(back.Query().Get("code"), back.Query().Get("state"), asked.Query().Get("nonce"))
	return back.RequestURI(), a.set[0].Name + "=" + a.set[0].Value
}

// signIn signs in through the gateway and returns the cookies of the login.
func (s *site) signIn(t *testing.T) string {
	t.Helper()
	callback, cookie := s.begin(t, "/")
	a := s.do(t, http.MethodGet, callback, cookie, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate")
	if a.status != http.StatusSeeOther {
		t.Fatalf("the callback is answered with %d: %s", a.status, a.body)
	}
	return header(a.set)
}

// header is the Cookie header of a browser that was given these cookies.
func header(set []*http.Cookie) string {
	var pairs []string
	for _, c := range set {
		if c.MaxAge >= 0 {
			pairs = append(pairs, c.Name+"="+c.Value)
		}
	}
	return strings.Join(pairs, "; ")
}

// expired signs subject in and returns the cookies as they are after the access
// token's end. Nobody waits for that: the token is given an earlier one, and the
// signature, which then does not fit, is of no interest in a token that has
// expired.
func (s *site) expired(t *testing.T, subject string) string {
	t.Helper()
	tokens := s.provider.Login(subject)
	parts := strings.Split(tokens.Access, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	claims["iat"], claims["exp"] = time.Now().Add(-2*time.Hour).Unix(), time.Now().Add(-time.Hour).Unix()
	if payload, err = json.Marshal(claims); err != nil {
		t.Fatal(err)
	}
	tokens.Access = parts[0] + "." + base64.RawURLEncoding.EncodeToString(payload) + "." + parts[2]
	return s.cookies(t, tokens)
}

// policy is how the gateway keeps logins in cookies.
func policy() cookies.Policy {
	c := &config{}
	c.readKeys(&environment{getenv: func(string) string { return testKey }})
	return cookies.Policy{Keys: c.keys}
}

// cookies returns the Cookie header of a login.
func (s *site) cookies(t *testing.T, tokens refresh.Tokens) string {
	t.Helper()
	s.secret(tokens.Access, tokens.Refresh, tokens.ID)
	w := httptest.NewRecorder()
	if err := policy().Write(w, nil, tokens); err != nil {
		t.Fatal(err)
	}
	set := w.Result().Cookies()
	for _, c := range set {
		if c.Name != cookies.Life {
			s.secret(c.Value)
		}
	}
	return header(set)
}

// tokens returns what is in the cookies that an answer sets.
func (s *site) tokens(t *testing.T, a answer) refresh.Tokens {
	t.Helper()
	return s.held(t, header(a.set))
}

// held returns what a browser's cookies hold.
func (s *site) held(t *testing.T, cookie string) refresh.Tokens {
	t.Helper()
	tokens, err := policy().Read(&http.Request{Header: http.Header{"Cookie": {cookie}}})
	if err != nil {
		t.Fatal(err)
	}
	s.secret(tokens.Access, tokens.Refresh)
	return tokens
}

// eventually waits until ok, which is asked again and again.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("it never happens: %s", what)
		}
	}
}
