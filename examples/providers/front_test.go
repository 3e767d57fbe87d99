package providers

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/tokenlife/tokenlife/examples/internal/guard/leak"
)

// A front stands before a provider, at the address that is the provider's
// issuer: it counts the calls of the token endpoint, and holds their answers.
type front struct {
	issuer string

	mu     sync.Mutex
	grants map[string]*grant // by every token that was issued to it
	all    []call
}

// A grant is what one code was exchanged for, and what that became.
type grant struct {
	front     *front
	code      call // that exchanged it
	refreshes []call
	held      *hold // the next refresh
}

// A call is one of the token endpoint.
type call struct {
	status int
	errors string // the OAuth error code
	sent   sent
	issued issued
}

type sent struct{ code, verifier, refresh, assertion string }

type issued struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	ID      string `json:"id_token"`
	Error   string `json:"error"`
}

// A hold keeps an answer of the provider's until it is released.
type hold struct{ reached, release chan struct{} }

// newFront starts a front for a provider that will listen at address.
func newFront(t *testing.T, address string) *front {
	t.Helper()
	f := &front{grants: map[string]*grant{}}
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	server := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: address})
			r.Out.Host = r.In.Host
		},
		Transport: counting{front: f, to: transport},
		// A provider that is down resets the connection, and answers nothing.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	})
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	// The host is a name because cookies and sites are then told apart from those
	// of an application at 127.0.0.1: the port alone would not do that.
	f.issuer = "http://localhost:" + port
	t.Cleanup(func() {
		server.Close()
		transport.CloseIdleConnections()
		leak.Secrets(t, map[string][]string{"a token, code or verifier": f.secrets()})
	})
	return f
}

// counting is the transport of a front.
type counting struct {
	front *front
	to    http.RoundTripper
}

func (c counting) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/token") {
		return c.to.RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	resp, err := c.to.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(answer))
	made := call{status: resp.StatusCode, sent: sent{
		code: form.Get("code"), verifier: form.Get("code_verifier"),
		refresh: form.Get("refresh_token"), assertion: form.Get("client_assertion"),
	}}
	_ = json.Unmarshal(answer, &made.issued) // what is no JSON has issued nothing
	made.errors = made.issued.Error
	if held := c.front.take(made); held != nil {
		close(held.reached)
		<-held.release
	}
	return resp, nil
}

// take notes a call of the token endpoint, and returns what holds its answer.
func (f *front) take(made call) *hold {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = append(f.all, made)
	owner := f.grants[made.sent.refresh]
	if made.sent.code != "" {
		owner = &grant{front: f, code: made}
	}
	if owner == nil {
		return nil
	}
	for _, token := range []string{made.issued.Access, made.issued.Refresh, made.issued.ID} {
		if token != "" {
			f.grants[token] = owner
		}
	}
	if made.sent.refresh == "" {
		return nil
	}
	owner.refreshes = append(owner.refreshes, made)
	held := owner.held
	owner.held = nil
	return held
}

// grant returns the one that a token was issued under.
func (f *front) grant(t *testing.T, token string) *grant {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.grants[token]
	if l == nil {
		t.Fatal("the upstream got a token that the provider has not issued to anybody")
	}
	return l
}

// calls returns the refreshes of the grant, the last one last.
func (l *grant) calls() []call {
	l.front.mu.Lock()
	defer l.front.mu.Unlock()
	return append([]call(nil), l.refreshes...)
}

// hold keeps the answer to the next refresh of the grant.
func (l *grant) hold() *hold {
	l.front.mu.Lock()
	defer l.front.mu.Unlock()
	l.held = &hold{reached: make(chan struct{}), release: make(chan struct{})}
	return l.held
}

// secrets returns what no program of ours may write.
func (f *front) secrets() (all []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.all {
		for _, s := range []string{
			c.sent.code, c.sent.verifier, c.sent.refresh, c.sent.assertion,
			c.issued.Access, c.issued.Refresh, c.issued.ID,
		} {
			if s != "" {
				all = append(all, s)
			}
		}
	}
	return all
}

// keyID returns the kid in a JWT's header.
func keyID(t *testing.T, token string) string {
	t.Helper()
	head, _, _ := strings.Cut(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		t.Fatal(err)
	}
	var header struct {
		KeyID string `json:"kid"`
	}
	if err := json.Unmarshal(text, &header); err != nil {
		t.Fatal(err)
	}
	return header.KeyID
}
