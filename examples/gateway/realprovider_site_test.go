package main_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/cookies"
	"github.com/tokenlife/tokenlife/examples/internal/browser"
	"github.com/tokenlife/tokenlife/examples/internal/oidcprovider"
	"github.com/tokenlife/tokenlife/examples/internal/program"
)

const cookieKey = "6f2c1e0b9a8d7c5e4f3021b6a7d8c9e0f1a2b3c4d5e6f708192a3b4c5d6e7f80"

// A site is all the processes of the test and how to talk to them.
type site struct {
	url      string
	provider *oidcprovider.Provider
	gateway  *program.Process
	client   *http.Client // without cookies of its own

	mu       sync.Mutex
	browsers []*browser.Browser
	cookies  map[string][]string // set in answers to client
}

func newSite(t *testing.T, env ...string) *site {
	t.Helper()
	address := program.FreeAddress(t)
	s := &site{url: "http://" + address, cookies: map[string][]string{}}
	s.provider = oidcprovider.Start(t, oidcprovider.Config{
		RedirectURIs: []string{s.url + "/auth/callback"},
		Scopes:       []string{"notes:read"},
		Algorithm:    "ES256",

		BackChannelLogoutURI: s.url + "/auth/backchannel-logout",
	})
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=60")
		_ = json.NewEncoder(w).Encode(r.Header)
	}))
	t.Cleanup(upstream.Close)
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	s.client = &http.Client{Transport: transport, Timeout: 20 * time.Second}

	s.gateway = program.Run(t, program.Build(t, "."), program.Env(append([]string{
		"LISTEN=" + address,
		"PUBLIC_URL=" + s.url,
		"UPSTREAM=" + upstream.URL,
		"ISSUER=" + s.provider.Issuer,
		"CLIENT_ID=" + s.provider.Config.ClientID,
		"CLIENT_SECRET=" + s.provider.Config.ClientSecret,
		"AUDIENCE=" + s.provider.Config.Audience,
		"SCOPES=openid offline_access notes:read",
		"ALGORITHMS=" + s.provider.Config.Algorithm,
		"COOKIE_KEYS=" + cookieKey,
		"LEEWAY=0s",
		"AHEAD=100ms",
		"LOG_LEVEL=debug",
	}, env...)...), s.url+"/healthz")
	return s
}

// signIn opens a page that needs a login and returns the browser that is back
// on it after the provider's pages.
func (s *site) signIn(t *testing.T, path, user string) *browser.Browser {
	t.Helper()
	b := browser.New(t)
	s.mu.Lock()
	s.browsers = append(s.browsers, b)
	s.mu.Unlock()
	page := b.Login(t, s.url+path, user)
	if page.Status != http.StatusOK || page.URL.String() != s.url+path {
		t.Fatalf("the login ends at %s%s with status %d: %s", page.URL.Host, page.URL.Path, page.Status, page.Text())
	}
	first := s.events(t, user, granted)
	if len(first) != 1 || bearer(page.Body) != first[0].Issued.Access {
		t.Fatalf("after %d token answers the upstream did not get the access token, or got cookies of the login too", len(first))
	}
	return b
}

// fetch is a script's request in a browser, whose answer must have this status.
func (s *site) fetch(t *testing.T, b *browser.Browser, method, path string, status int) *browser.Page {
	t.Helper()
	page, err := b.Fetch(method, s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if page.Status != status {
		t.Fatalf("%s %s: status %d, want %d: %s", method, path, page.Status, status, page.Text())
	}
	return page
}

// An answer is what a request with given cookies came to.
type answer struct {
	status int
	header http.Header
	set    []*http.Cookie
	bearer string // the access token that the upstream got
	err    error
}

// marker returns the marker that the answer sets, if any.
func (a answer) marker() string {
	for _, c := range a.set {
		if c.Name == cookies.Life {
			return c.Value
		}
	}
	return ""
}

// call sends a request with this Cookie header, whatever has been set since.
func (s *site) call(path, cookie string) answer {
	r, err := http.NewRequest(http.MethodGet, s.url+path, nil)
	if err != nil {
		return answer{err: err}
	}
	r.Header.Set("Cookie", cookie)
	r.Header.Set("Sec-Fetch-Mode", "cors")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	resp, err := s.client.Do(r)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	var body json.RawMessage
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		return answer{status: resp.StatusCode, err: err}
	}
	a := answer{status: resp.StatusCode, header: resp.Header, set: resp.Cookies(), bearer: bearer(body)}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range a.set {
		s.cookies[c.Name] = append(s.cookies[c.Name], c.Value)
	}
	return a
}

// bearer returns the access token in the echo of a request, provided that the
// request carried no cookies of the login.
func bearer(echo []byte) string {
	var h http.Header
	if json.Unmarshal(echo, &h) != nil {
		return ""
	}
	for _, name := range []string{cookies.Access, cookies.Refresh, cookies.ID, cookies.Life} {
		if strings.Contains(strings.Join(h["Cookie"], ";"), name) {
			return ""
		}
	}
	return strings.TrimPrefix(h.Get("Authorization"), "Bearer ")
}

// seen returns the value of every cookie that the gateway has set.
func (s *site) seen() map[string][]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := maps.Clone(s.cookies)
	for _, b := range s.browsers {
		for name, values := range b.Seen(s.url) {
			all[name] = append(all[name], values...)
		}
	}
	return all
}

func (s *site) cookieHeader(b *browser.Browser) string {
	var pairs []string
	for _, c := range b.Cookies(s.url + "/") {
		pairs = append(pairs, c.Name+"="+c.Value)
	}
	return strings.Join(pairs, "; ")
}

// marker returns the browser's marker, which must be there.
func (s *site) marker(t *testing.T, b *browser.Browser) string {
	t.Helper()
	value, ok := b.Cookie(s.url, cookies.Life)
	if !ok || value == "0" {
		t.Fatalf("there is no marker of a login: %q", value)
	}
	return value
}

// isSignedOut checks that nothing of a login is left in the browser.
func (s *site) isSignedOut(t *testing.T, b *browser.Browser) {
	t.Helper()
	for _, c := range b.Cookies(s.url) {
		if c.Name == cookies.Life && c.Value != "0" || strings.HasSuffix(c.Name, "Token") {
			t.Errorf("cookie %s is still there", c.Name)
		}
	}
}

// untilExpiry waits until the access token that the marker belongs to is over.
func (s *site) untilExpiry(t *testing.T, marker string) {
	t.Helper()
	seconds, _, _ := strings.Cut(marker, ".")
	unix, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		t.Fatalf("the marker does not begin with a time: %v", err)
	}
	wait := time.Until(time.Unix(unix, 0))
	if wait > s.provider.Config.AccessLife {
		t.Fatalf("the marker's time is %v from now, longer than a token lives", wait)
	}
	select {
	case <-time.After(wait):
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	}
}

// events returns what happened at the provider to this user's logins and
// satisfies is.
func (s *site) events(t *testing.T, user string, is func(oidcprovider.Event) bool) []oidcprovider.Event {
	t.Helper()
	return slices.DeleteFunc(s.provider.Events(t), func(e oidcprovider.Event) bool {
		return e.Subject != user || !is(e)
	})
}

func granted(e oidcprovider.Event) bool { return e.Kind == oidcprovider.Granted }

// refreshDirectly presents a refresh token to the provider, past the gateway.
func (s *site) refreshDirectly(t *testing.T, token string) int {
	t.Helper()
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.provider.Issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(s.provider.Config.ClientID, s.provider.Config.ClientSecret)
	resp, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}
