package discovery_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/refresh/discovery"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

func ExampleProvider() {
	srv := refreshtest.NewServer(&refreshtest.Provider{}) // stands for yours
	defer srv.Close()

	provider := &discovery.Provider{Issuer: srv.URL}
	m, err := provider.Metadata(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(strings.TrimPrefix(m.TokenEndpoint, srv.URL))
	fmt.Println(m.IDTokenSigningAlgs, m.IssParameterSupported)
	// Output:
	// /token
	// [ES256] true
}

const issuer = "https://provider.test"

// A source is a provider's metadata, as it is now.
type source struct {
	mu     sync.Mutex
	status int
	body   string
	delay  time.Duration
	calls  atomic.Int32
}

func (s *source) set(status int, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status, s.body = status, body
}

func (s *source) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.calls.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.delay > 0 {
		select {
		case <-time.After(s.delay):
		case <-r.Context().Done():
		}
	}
	w.WriteHeader(s.status)
	w.Write([]byte(s.body))
}

func (s *source) provider() *discovery.Provider {
	return &discovery.Provider{Issuer: issuer, Client: refreshtest.Client(s)}
}

func document(changes ...string) string {
	doc := map[string]any{
		"issuer":                 issuer,
		"authorization_endpoint": issuer + "/authorize",
		"token_endpoint":         issuer + "/token",
		"jwks_uri":               issuer + "/jwks",
	}
	for i := 0; i < len(changes); i += 2 {
		doc[changes[i]] = changes[i+1]
	}
	b, err := json.Marshal(doc)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestMetadataIsFetchedOnceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{status: 200, body: document(), delay: time.Second}
		p := s.provider()
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				m, err := p.Metadata(t.Context())
				if err != nil || m.TokenEndpoint != issuer+"/token" || m.RevocationEndpoint != "" {
					t.Errorf("Metadata = %+v, %v", m, err)
				}
			})
		}
		wg.Wait()
		if _, err := p.Metadata(t.Context()); err != nil || s.calls.Load() != 1 {
			t.Errorf("%d fetches, %v, want 1", s.calls.Load(), err)
		}
	})
}

func TestAFetchOutlivesWhoeverWasFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{status: 200, body: document(), delay: 2 * time.Second}
		p := s.provider()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.Metadata(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the first: %v, want its own deadline", err)
		}
		begin := time.Now()
		if _, err := p.Metadata(t.Context()); err != nil || time.Since(begin) != time.Second {
			t.Errorf("the second: %v after %v, want the rest of the fetch", err, time.Since(begin))
		}
		if n := s.calls.Load(); n != 1 {
			t.Errorf("%d fetches, want 1", n)
		}
	})
}

type panicking struct{}

func (panicking) RoundTrip(*http.Request) (*http.Response, error) { panic("a mistake") }

// In a goroutine of ours it would end the program.
func TestAPanicOfTheTransportIsNoMoreThanAFailure(t *testing.T) {
	p := &discovery.Provider{Issuer: "https://provider.test", Client: &http.Client{Transport: panicking{}}}
	if _, err := p.Metadata(t.Context()); err == nil || strings.Contains(err.Error(), "a mistake") {
		t.Errorf("error is %v", err)
	}
}

func TestAFailureIsKeptForASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{status: 503}
		p := s.provider()
		_, first := p.Metadata(t.Context())
		time.Sleep(999 * time.Millisecond)
		_, second := p.Metadata(t.Context())
		if first == nil || second == nil || first.Error() != second.Error() || s.calls.Load() != 1 {
			t.Errorf("%v, then %v, in %d fetches: want the same of one", first, second, s.calls.Load())
		}
		s.set(200, document())
		time.Sleep(time.Millisecond)
		if _, err := p.Metadata(t.Context()); err != nil || s.calls.Load() != 2 {
			t.Errorf("after a second: %v, %d fetches", err, s.calls.Load())
		}
	})
}

func TestADocumentIsRenewedBesideTheCallersAndKeptOnFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{status: 200, body: document()}
		p := s.provider()
		want := func(endpoint string, calls int32) {
			t.Helper()
			begin := time.Now()
			m, err := p.Metadata(t.Context())
			if err != nil || m.TokenEndpoint != issuer+endpoint || time.Since(begin) != 0 {
				t.Errorf("Metadata = %s, %v after %v, want %s at once", m.TokenEndpoint, err, time.Since(begin), endpoint)
			}
			synctest.Wait()
			if n := s.calls.Load(); n != calls {
				t.Errorf("%d fetches, want %d", n, calls)
			}
		}
		want("/token", 1)
		time.Sleep(24*time.Hour - 1)
		want("/token", 1)

		s.set(500, "")
		time.Sleep(time.Nanosecond)
		want("/token", 2)
		want("/token", 2) // not tried again at once
		time.Sleep(5 * time.Minute)
		s.set(200, document("issuer", "https://other.test"))
		want("/token", 3)
		time.Sleep(5 * time.Minute)
		s.set(200, document("token_endpoint", issuer+"/moved"))
		want("/token", 4) // the old one, while the new one is fetched
		want("/moved", 4)
	})
}

func TestAFetchEndsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{status: 200, body: document(), delay: time.Hour}
		p := s.provider()
		begin := time.Now()
		_, err := p.Metadata(t.Context())
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 5*time.Second {
			t.Errorf("%v after %v, want a deadline after 5 s", err, time.Since(begin))
		}
	})
}

func TestADocumentThatCannotBeTrustedIsRefused(t *testing.T) {
	for _, c := range []struct {
		name, body, want string
	}{
		{"not JSON", "<html>", "not a metadata document"},
		{"a list", "[]", "not a metadata document"},
		{"null", "null", "another issuer"},
		{"two documents", document() + document(), "not a metadata document"},
		{"too long", document("extra", strings.Repeat("x", 256<<10)), "longer than"},
		{"no issuer", `{"token_endpoint":"https://provider.test/token"}`, "another issuer"},
		{"another issuer", document("issuer", "https://other.test"), "another issuer"},
		{"a slash more", document("issuer", issuer+"/"), "another issuer"},
		{"another case", document("issuer", "https://Provider.test"), "another issuer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &source{status: 200, body: c.body}
			_, err := s.provider().Metadata(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "discovery: "+issuer+": ") {
				t.Errorf("error is %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestRedirectsStayAtTheHost(t *testing.T) {
	for _, c := range []struct {
		name, to, want string // want is empty where it is followed
	}{
		{"the same host", issuer + "/moved", ""},
		{"a path", "/moved", ""},
		{"another host", "https://other.test/moved", "another host"},
		{"another port", issuer + ":8443/moved", "another host"},
		{"another scheme", "http://provider.test/moved", "another host"},
		{"itself", "/.well-known/openid-configuration", "too often"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &discovery.Provider{Issuer: issuer, Client: refreshtest.Client(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/moved" {
					w.Write([]byte(document()))
					return
				}
				http.Redirect(w, r, c.to, http.StatusFound)
			}))}
			_, err := p.Metadata(t.Context())
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error is %v, want %q", err, c.want)
			}
		})
	}
}

func TestAnIssuerWithASlashKeepsIt(t *testing.T) {
	for _, iss := range []string{"https://provider.test/realm", "https://provider.test/realm/", "https://provider.test/", "https://provider.test"} {
		var path string
		p := &discovery.Provider{Issuer: iss, Client: refreshtest.Client(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			path = r.URL.Path
			w.Write([]byte(document("issuer", iss)))
		}))}
		m, err := p.Metadata(t.Context())
		if err != nil || m.Issuer != iss || strings.Contains(path, "//") {
			t.Errorf("%s: %v, asked %s", iss, err, path)
		}
	}
}

func TestAnIssuerMustBeSound(t *testing.T) {
	for _, iss := range []string{
		"", "provider.test", "/provider", "ftp://provider.test", "http://provider.test", "http://127.0.0.1.nip.test",
		"https://provider.test?a=b", "https://provider.test#a", "https://user:password@provider.test", "https://", "https://:443", "://",
	} {
		p := &discovery.Provider{Issuer: iss}
		err := p.Validate()
		if err == nil || !strings.Contains(err.Error(), "Issuer") || strings.Contains(err.Error(), "password@") {
			t.Errorf("%q: error is %v, want one that names Issuer", iss, err)
		}
		if _, used := p.Metadata(t.Context()); used == nil || used.Error() != err.Error() {
			t.Errorf("%q: Metadata says %v, want the same", iss, used)
		}
	}
	for _, iss := range []string{"https://provider.test", "http://localhost:8080/", "http://127.1.2.3", "http://[::1]:80", "http://a.localhost"} {
		if err := (&discovery.Provider{Issuer: iss}).Validate(); err != nil {
			t.Errorf("%q: %v", iss, err)
		}
	}
}

func TestAPlainServerOnThisMachineIsEnough(t *testing.T) {
	var srv *httptest.Server
	srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte(strings.ReplaceAll(document(), issuer, srv.URL)))
	}))
	p := &discovery.Provider{Issuer: srv.URL}
	if m, err := p.Metadata(t.Context()); err != nil || m.JWKSURI != srv.URL+"/jwks" {
		t.Errorf("Metadata = %+v, %v", m, err)
	}
	srv.Close()
	_, err := (&discovery.Provider{Issuer: srv.URL}).Metadata(t.Context())
	if err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("a server that is down: %v", err)
	}
}

func TestCallersDoNotShareSlices(t *testing.T) {
	s := &source{status: 200, body: `{"issuer":"` + issuer + `","id_token_signing_alg_values_supported":["ES256"]}`}
	p := s.provider()
	for range 2 {
		m, err := p.Metadata(t.Context())
		if err != nil || m.IDTokenSigningAlgs[0] != "ES256" {
			t.Fatalf("Metadata = %+v, %v", m, err)
		}
		m.IDTokenSigningAlgs[0] = "none"
	}
}
