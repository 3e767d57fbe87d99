package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/examples/internal/browser"
	_ "github.com/tokenlife/tokenlife/internal/race"
)

// A server is the site at an address, which a restart does not change.
type server struct {
	t    *testing.T
	file string
	life time.Duration
	http *httptest.Server
	mu   sync.RWMutex
	site *site
}

func newServer(t *testing.T, life time.Duration) *server {
	s := &server{t: t, file: filepath.Join(t.TempDir(), "local.db"), life: life}
	s.open()
	s.http = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.RLock()
		defer s.mu.RUnlock()
		s.site.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		s.http.Close()
		if err := s.site.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *server) open() {
	s.t.Helper()
	var err error
	if s.site, err = newSite(context.Background(), s.file, s.life); err != nil {
		s.t.Fatal(err)
	}
}

// restart closes everything but the file.
func (s *server) restart() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.site.Close(); err != nil {
		s.t.Fatal(err)
	}
	s.open()
}

// A client is a browser at the server.
type visitor struct {
	*browser.Browser
	s *server
}

func (s *server) client() *visitor { return &visitor{browser.New(s.t), s} }

func (c *visitor) fetch(method, path string, form url.Values) *browser.Page {
	c.s.t.Helper()
	p, err := c.Fetch(method, c.s.http.URL+path, form)
	if err != nil {
		c.s.t.Fatal(err)
	}
	return p
}

func (c *visitor) want(status int, method, path string, form url.Values) *browser.Page {
	c.s.t.Helper()
	p := c.fetch(method, path, form)
	if p.Status != status {
		c.s.t.Fatalf("%s %s: %d %s, want %d", method, path, p.Status, p.Body, status)
	}
	return p
}

func (c *visitor) devices() []deviceView {
	c.s.t.Helper()
	var views []deviceView
	if err := json.Unmarshal(c.want(200, "GET", "/devices", nil).Body, &views); err != nil {
		c.s.t.Fatal(err)
	}
	return views
}

func account(email string) url.Values {
	return url.Values{"email": {email}, "password": {"correct horse"}}
}

func TestAUserRegistersAndIsSignedInUntilTheySignOut(t *testing.T) {
	s := newServer(t, time.Minute)
	b := browser.New(t)
	home := b.Open(t, s.http.URL+"/")
	page := b.Submit(t, home, "/register", account(" Ada@Example.com "))
	if !strings.Contains(string(page.Body), `<strong id="user">ada@example.com</strong>`) {
		t.Fatalf("after registering: %d %s", page.Status, page.Text())
	}
	page = b.Submit(t, page, "/logout", url.Values{})
	if !strings.Contains(string(page.Body), `id="login"`) {
		t.Fatalf("after signing out: %d %s", page.Status, page.Text())
	}
	wrong := account("ada@example.com")
	wrong.Set("password", "wrong horse")
	page = b.Submit(t, page, "/login", wrong)
	if page.Status != 403 || !strings.Contains(string(page.Body), "password is wrong") {
		t.Errorf("a wrong password: %d %s", page.Status, page.Text())
	}
	page = b.Submit(t, home, "/login", account("ada@example.com"))
	if !strings.Contains(string(page.Body), "this one") {
		t.Errorf("after signing in: %d %s", page.Status, page.Text())
	}
}

func TestWhatIsRefused(t *testing.T) {
	s := newServer(t, time.Minute)
	s.client().want(200, "POST", "/register", account("ada@example.com"))
	form := func(email, password string) url.Values {
		return url.Values{"email": {email}, "password": {password}}
	}
	for _, c := range []struct {
		name, path string
		form       url.Values
		want       int
	}{
		{"an address that is taken", "/register", account("ADA@example.com"), 409},
		{"no address", "/register", form("", "correct horse"), 422},
		{"an address that is none", "/register", form("ada", "correct horse"), 422},
		{"an address with a name", "/register", form("Ada <ada2@example.com>", "correct horse"), 422},
		{"an address too long to be one", "/register", form(strings.Repeat("a", 250)+"@example.com", "correct horse"), 422},
		{"an address too long to have an account", "/login", form(strings.Repeat("a", 250)+"@example.com", "correct horse"), 403},
		{"a short password", "/register", form("bob@example.com", "correct"), 422},
		{"a very long password", "/register", form("bob@example.com", strings.Repeat("a", 257)), 422},
		{"a wrong password", "/login", form("ada@example.com", "wrong horse"), 403},
		{"a password too long to be one", "/login", form("ada@example.com", strings.Repeat("a", 257)), 403},
		{"an unknown user", "/login", account("eve@example.com"), 403},
		{"nothing", "/login", url.Values{}, 403},
		{"more than a form", "/login", url.Values{"email": {strings.Repeat("a", 9<<10)}}, 400},
	} {
		b := s.client()
		b.want(c.want, "POST", c.path, c.form)
		if len(b.Cookies(s.http.URL)) != 0 {
			t.Errorf("%s: cookies are set", c.name)
		}
	}
	for _, path := range []string{"/devices", "/logout-everywhere"} {
		method := "GET"
		if path != "/devices" {
			method = "POST"
		}
		s.client().want(401, method, path, url.Values{})
	}
}

func TestALoginSurvivesARestart(t *testing.T) {
	s := newServer(t, time.Minute)
	ada := s.client()
	ada.want(200, "POST", "/register", account("ada@example.com"))
	before, _ := s.site.issuer.JWKS(t.Context())
	s.restart()
	if after, err := s.site.issuer.JWKS(t.Context()); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the keys before a restart were %s, and are %s (%v)", before, after, err)
	}
	if d := ada.devices(); len(d) != 1 || !d[0].Current {
		t.Errorf("after a restart: %+v", d)
	}
	ada.want(204, "POST", "/refresh-token", url.Values{})
	s.restart()
	ada.want(204, "POST", "/refresh-token", url.Values{})
	s.client().want(200, "POST", "/login", account("ada@example.com"))
	if n := len(ada.devices()); n != 2 {
		t.Errorf("%d devices, want 2", n)
	}
}

func TestOneDeviceSignsAnotherOut(t *testing.T) {
	s := newServer(t, time.Minute)
	laptop, phone, bob := s.client(), s.client(), s.client()
	laptop.want(200, "POST", "/register", account("ada@example.com"))
	phone.want(200, "POST", "/login", account("ada@example.com"))
	bob.want(200, "POST", "/register", account("bob@example.com"))
	phone.want(200, "POST", "/login", account("ada@example.com")) // again: the login before gives way
	var other string
	devices := laptop.devices()
	for _, d := range devices {
		if !d.Current {
			other = d.ID
		}
	}
	if len(devices) != 2 || other == "" {
		t.Fatalf("the devices are %+v", devices)
	}
	bob.want(404, "DELETE", "/devices/"+other, nil)
	laptop.want(404, "DELETE", "/devices/unknown", nil)
	laptop.want(204, "DELETE", "/devices/"+other, nil)
	phone.want(401, "POST", "/refresh-token", url.Values{})
	phone.want(401, "GET", "/devices", nil)
	rest := laptop.devices()
	if len(rest) != 1 || !rest[0].Current {
		t.Fatalf("left: %+v", rest)
	}
	laptop.want(204, "DELETE", "/devices/"+rest[0].ID, nil)
	laptop.want(401, "GET", "/devices", nil)
	bob.want(204, "POST", "/refresh-token", url.Values{})
}

func TestSigningOutEverywhereEndsTheOtherBrowser(t *testing.T) {
	s := newServer(t, time.Minute)
	laptop, phone := s.client(), s.client()
	laptop.want(200, "POST", "/register", account("ada@example.com"))
	phone.want(200, "POST", "/login", account("ada@example.com"))
	laptop.want(204, "POST", "/logout-everywhere", url.Values{})
	laptop.want(401, "GET", "/devices", nil)
	phone.want(401, "POST", "/refresh-token", url.Values{})
	phone.want(401, "GET", "/devices", nil)
	if life, _ := phone.Cookie(s.http.URL, "tokenLife"); life != "0" {
		t.Errorf("the other browser's marker is %q, want 0", life)
	}
}

func TestAnOldCookieEndsTheLogin(t *testing.T) {
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	defer slog.SetDefault(before)
	s := newServer(t, time.Minute)
	s.site.issuer.Grace = -1 // it has not been used yet
	ada := s.client()
	ada.want(200, "POST", "/register", account("ada@example.com"))
	stolen, _ := ada.Cookie(s.http.URL, "__Host-refreshToken")
	for range 3 {
		ada.want(204, "POST", "/refresh-token", url.Values{})
	}
	s.restart() // what the server remembers of the last minute is not what this is about
	r, err := http.NewRequestWithContext(t.Context(), "POST", s.http.URL+"/refresh-token", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.AddCookie(&http.Cookie{Name: "__Host-refreshToken", Value: stolen})
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != 401 {
		t.Errorf("the thief gets %s", answer.Status)
	}
	ada.want(401, "POST", "/refresh-token", url.Values{})
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "level=WARN") || !strings.Contains(got, "why=handle_reused") {
		t.Errorf("the program has written %q, want a line about it", got)
	}
}

func TestAtOnceIsOneRefresh(t *testing.T) {
	s := newServer(t, time.Minute)
	ada := s.client()
	ada.want(200, "POST", "/register", account("ada@example.com"))
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if p, err := ada.Fetch("POST", s.http.URL+"/refresh-token", url.Values{}); err != nil || p.Status != 204 {
				t.Errorf("%v, %v", p, err)
			}
		})
	}
	wg.Wait()
	ada.want(204, "POST", "/refresh-token", url.Values{})
	if n := len(ada.devices()); n != 1 {
		t.Errorf("%d devices, want 1", n)
	}
}

func TestFormsOfOtherSitesAreRefused(t *testing.T) {
	s := newServer(t, time.Minute)
	for _, path := range []string{"/login", "/register", "/logout", "/refresh-token", "/logout-everywhere", "/devices/x/end"} {
		r, err := http.NewRequestWithContext(t.Context(), "POST", s.http.URL+path, strings.NewReader(account("eve@example.com").Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		if answer.StatusCode != 403 || len(answer.Cookies()) != 0 {
			t.Errorf("%s: %s", path, answer.Status)
		}
	}
}

func TestThePageNeedsNothingThatItsPolicyForbids(t *testing.T) {
	s := newServer(t, time.Minute)
	ada := s.client()
	ada.want(200, "POST", "/register", account("ada@example.com"))
	for _, c := range []*visitor{ada, s.client()} {
		page := c.want(200, "GET", "/", nil)
		for _, bad := range []string{"<script", "<style", "style=", "onclick", "javascript:"} {
			if strings.Contains(string(page.Body), bad) {
				t.Errorf("the page has %s", bad)
			}
		}
		if got := page.Header.Get("Content-Security-Policy"); !strings.HasPrefix(got, "default-src 'none'; ") {
			t.Errorf("the policy is %q", got)
		}
		for _, cookie := range c.Cookies(s.http.URL) {
			if len(cookie.Value) > 20 && strings.Contains(string(page.Body), cookie.Value[:12]) {
				t.Errorf("the page shows the cookie %s", cookie.Name)
			}
		}
	}
}

func TestPasswordHashes(t *testing.T) {
	h := newHasher(2)
	one, err := h.hash(t.Context(), "correct horse")
	if err != nil || !strings.HasPrefix(one, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Fatalf("%q, %v", one, err)
	}
	if two, _ := h.hash(t.Context(), "correct horse"); two == one {
		t.Error("two hashes of one password are the same")
	}
	for _, c := range []struct {
		hash, password string
		good           bool
	}{
		{one, "correct horse", true},
		{one, "wrong horse", false},
		{one, "", false},
		{h.dummy, "", false},
		// Made by the reference implementation: echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1 -l 24.
		{"$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "password", true},
	} {
		good, err := h.verify(t.Context(), c.hash, c.password)
		if err != nil || good != c.good {
			t.Errorf("%.40s and %q: %t, %v", c.hash, c.password, good, err)
		}
	}
	for _, bad := range []string{
		"", "$", "x", strings.Replace(one, "argon2id", "argon2i", 1), strings.Replace(one, "m=19456", "m=99999999", 1),
		strings.Replace(one, "v=19", "v=16", 1), strings.Replace(one, "t=2", "t=02", 1), one + "$", one[:40],
	} {
		if _, err := h.verify(t.Context(), bad, "correct horse"); !errors.Is(err, errHash) {
			t.Errorf("%.40q: %v", bad, err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	full := &hasher{make(chan struct{}), one}
	if _, err := full.verify(ended, one, "correct horse"); !errors.Is(err, context.Canceled) {
		t.Errorf("a hasher that is busy: %v", err)
	}
}

func TestDevicesAndAddresses(t *testing.T) {
	for agent, want := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0":                                       "Firefox on Linux",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0 Safari/537.36":  "Chrome on Windows",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Safari/604.1": "Safari on iPhone",
		"curl/7.88.1": "curl",
		"":            "Unknown device",
	} {
		if got := device(agent); got != want {
			t.Errorf("%q is %q, want %q", agent, got, want)
		}
	}
	for address, want := range map[string]string{
		"192.0.2.1:80":         "192.0.2.1",
		"[::ffff:192.0.2.1]:1": "192.0.2.1",
		"[2001:db8::1%eth0]:1": "2001:db8::/64",
		"@":                    "@",
	} {
		if got := client(&http.Request{RemoteAddr: address}); got != want {
			t.Errorf("%q is %q, want %q", address, got, want)
		}
	}
}
