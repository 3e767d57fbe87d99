package login_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/tokenlife/tokenlife/internal/race"
	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/login"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/discovery"
	"github.com/tokenlife/tokenlife/refresh/event"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

const (
	origin  = "https://site.test"
	attempt = "__Host-tokenLogin-" // what the cookies of attempts begin with
)

// A site signs in at a fake provider, without sockets: it works in a bubble of
// testing/synctest.
type site struct {
	provider *refreshtest.Provider
	auth     *middleware.Auth
	flow     *login.Flow

	start, callback http.Handler

	mu      sync.Mutex
	events  []event.Event
	secrets []string // states, nonces, verifiers' challenges, codes, cookies
	output  strings.Builder
}

func newSite(t testing.TB, change ...func(*login.Flow)) *site {
	t.Helper()
	s := &site{provider: &refreshtest.Provider{}}
	verifier, err := verify.New(verify.Issuer{
		URL: s.provider.URL(""), KeysURL: s.provider.URL("/jwks"), Audience: []string{"api"},
	})
	if err != nil {
		t.Fatal(err)
	}
	verifier.Client = s.provider.Client()
	client := &refresh.OAuth2{
		ClientID:  "client",
		Discovery: &discovery.Provider{Issuer: s.provider.URL(""), Client: s.provider.Client()},
		Client:    s.provider.Client(),
	}
	s.auth = &middleware.Auth{
		Verifier: verifier, Refresher: client, LoginURL: "/login",
		Observe: func(_ context.Context, e event.Event) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.events = append(s.events, e)
			if e.Err != nil {
				fmt.Fprintln(&s.output, e.Err)
			}
		},
	}
	s.flow = &login.Flow{Auth: s.auth, Client: client, RedirectURL: origin + "/callback"}
	for _, c := range change {
		c(s.flow)
	}
	s.start, s.callback = s.flow.Start(), s.flow.Callback()
	t.Cleanup(func() {
		for _, close := range []func() error{s.flow.Close, s.auth.Close, verifier.Close} {
			if err := close(); err != nil {
				t.Error(err)
			}
		}
	})
	return s
}

// failures returns the failed sign-ins so far.
func (s *site) failures() []event.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.events), func(e event.Event) bool { return e.Kind != event.SignInFailed })
}

// A browser keeps cookies, by name.
type browser struct{ cookies map[string]string }

func newBrowser() *browser { return &browser{map[string]string{}} }

// copy is a browser with the same cookies, for what comes with old ones.
func (b *browser) copy() *browser { return &browser{maps.Clone(b.cookies)} }

// request is a navigation to target.
func (b *browser) request(ctx context.Context, target string) *http.Request {
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	for _, name := range slices.Sorted(maps.Keys(b.cookies)) {
		r.AddCookie(&http.Cookie{Name: name, Value: b.cookies[name]})
	}
	return r
}

// take keeps the cookies of an answer.
func (b *browser) take(resp *http.Response) {
	for _, c := range resp.Cookies() {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c.Value
		}
	}
}

func (b *browser) open(s *site, h http.Handler, target string) *http.Response {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, b.request(context.Background(), target))
	resp := w.Result()
	b.take(resp)
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintln(&s.output, w.Body.String())
	for _, c := range resp.Cookies() {
		if c.Name != "tokenLife" && c.Value != "" {
			s.secrets = append(s.secrets, c.Value)
		}
	}
	return resp
}

// attempts returns the names of the cookies of sign-ins under way.
func (b *browser) attempts() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(b.cookies)), func(name string) bool {
		return !strings.HasPrefix(name, attempt)
	})
}

func (b *browser) signedIn() bool {
	return b.cookies["__Host-accessToken"] != "" && b.cookies["__Host-refreshToken"] != ""
}

// begin starts a sign-in, signs in at the provider, and returns the URL of the
// callback, which nobody has opened yet.
func (b *browser) begin(t *testing.T, s *site, returnTo string) *url.URL {
	t.Helper()
	resp := b.open(s, s.start, "/login?return_to="+url.QueryEscape(returnTo))
	if resp.StatusCode != http.StatusFound {
		t.Fatalf("the start is answered with %d", resp.StatusCode)
	}
	w := httptest.NewRecorder()
	s.provider.ServeHTTP(w, httptest.NewRequest(http.MethodGet, resp.Header.Get("Location"), nil))
	back, err := url.Parse(w.Header().Get("Location"))
	if err != nil || back.Query().Get("code") == "" {
		t.Fatalf("the provider answers %d without a code", w.Code)
	}
	asked, err := url.Parse(resp.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	q := asked.Query()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secrets = append(s.secrets, q.Get("state"), q.Get("nonce"), q.Get("code_challenge"), back.Query().Get("code"))
	return back
}

func (b *browser) signIn(t *testing.T, s *site) {
	t.Helper()
	resp := b.open(s, s.callback, b.begin(t, s, "/").String())
	if resp.StatusCode != http.StatusSeeOther || !b.signedIn() {
		t.Fatalf("the sign-in ends with %d", resp.StatusCode)
	}
}

// silent checks that nothing that s put into errors and bodies holds 12
// characters of a secret (promise 11).
func (s *site) silent(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	output := s.output.String()
	if len(s.secrets) == 0 {
		t.Error("there are no secrets to look for")
	}
	for _, secret := range s.secrets {
		for i := 0; i+12 <= len(secret); i++ {
			if strings.Contains(output, secret[i:i+12]) {
				t.Errorf("a secret of %d characters shows in an error or a body", len(secret))
				break
			}
		}
	}
}

// took returns how long f takes.
func took(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}
