package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/refresh/local"
)

func newTestSite(t *testing.T) *site {
	t.Helper()
	s, err := newSite(&local.Issuer{URL: "https://issuer.example", Audience: []string{"spa"}, Life: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// A client is a user's browser, as far as cookies go. The jar gives out Secure
// cookies for https only; nothing listens there.
type client struct {
	t    *testing.T
	site *site
	jar  http.CookieJar
}

const origin = "https://app.example"

func newClient(t *testing.T) *client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &client{t, newTestSite(t), jar}
}

func (c *client) do(method, path, body string, header ...string) *http.Response {
	r := httptest.NewRequest(method, origin+path, strings.NewReader(body))
	for pair := range slices.Chunk(append([]string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "cors"}, header...), 2) {
		r.Header.Set(pair[0], pair[1])
	}
	for _, cookie := range c.jar.Cookies(r.URL) {
		r.AddCookie(cookie)
	}
	w := httptest.NewRecorder()
	c.site.ServeHTTP(w, r)
	answer := w.Result()
	c.jar.SetCookies(r.URL, answer.Cookies())
	return answer
}

func (c *client) want(status int, method, path, body string, header ...string) *http.Response {
	c.t.Helper()
	answer := c.do(method, path, body, header...)
	if answer.StatusCode != status {
		c.t.Errorf("%s %s: %s, want %d", method, path, answer.Status, status)
	}
	return answer
}

var form = []string{"Content-Type", "application/x-www-form-urlencoded"}

func (c *client) signIn() {
	c.t.Helper()
	c.want(http.StatusNoContent, "POST", "/auth/login", url.Values{"name": {" Ada "}}.Encode(), form...)
}

func TestTheRefreshTokenStaysAwayFromTheAPI(t *testing.T) {
	c := newClient(t)
	c.signIn()
	for path, want := range map[string][]string{
		"/api/note":     {"__Host-accessToken", "tokenLife"},
		"/auth/refresh": {"__Host-accessToken", "__Secure-refreshToken", "tokenLife"},
	} {
		var got []string
		for _, cookie := range c.jar.Cookies(&url.URL{Scheme: "https", Host: "app.example", Path: path}) {
			got = append(got, cookie.Name)
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%s is sent %v, want %v", path, got, want)
		}
	}
}

func TestNotesAreKeptForEachUser(t *testing.T) {
	c := newClient(t)
	c.want(http.StatusUnauthorized, "GET", "/api/note", "")
	c.signIn()
	c.want(http.StatusNoContent, "PUT", "/api/note", "hello")
	c.want(http.StatusRequestEntityTooLarge, "PUT", "/api/note", strings.Repeat("x", 1<<10+1))
	c.want(http.StatusForbidden, "PUT", "/api/note", "of another site", "Sec-Fetch-Site", "cross-site")
	body, err := io.ReadAll(c.want(http.StatusOK, "GET", "/api/note", "").Body)
	if err != nil || string(body) != `{"name":"Ada","note":"hello"}`+"\n" {
		t.Errorf("got %s, %v", body, err)
	}
}

func TestATokenThatIsTakenBackIsRefusedAndRefreshed(t *testing.T) {
	c := newClient(t)
	c.signIn()
	c.want(http.StatusNoContent, "POST", "/api/take-back", "")
	answer := c.want(http.StatusUnauthorized, "GET", "/api/note", "")
	if got := answer.Header.Get("WWW-Authenticate"); !strings.Contains(got, "invalid_token") {
		t.Errorf("the challenge is %q", got)
	}
	c.want(http.StatusNoContent, "POST", "/auth/refresh", "")
	c.want(http.StatusOK, "GET", "/api/note", "")
}

func TestSigningInTakesAnyNameButFromThisOriginOnly(t *testing.T) {
	tests := []struct {
		name, user string
		header     []string
		want       int
	}{
		{"a name", "Ada", nil, 204},
		{"only spaces", "  ", nil, 400},
		{"a very long name", strings.Repeat("a", 81), nil, 400},
		{"a form of many kilobytes", strings.Repeat("a", 5<<10), nil, 400},
		{"a form on another site", "Eve", []string{"Sec-Fetch-Site", "cross-site"}, 403},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newClient(t)
			answer := c.want(tt.want, "POST", "/auth/login", url.Values{"name": {tt.user}}.Encode(), append(tt.header, form...)...)
			if set := len(answer.Cookies()) > 0; set != (tt.want == 204) {
				t.Errorf("cookies set: %v", set)
			}
		})
	}
}

func TestEveryAnswerForbidsForeignAndInlineCode(t *testing.T) {
	c := newClient(t)
	for path, status := range map[string]int{
		"/": 200, "/app.js": 200, "/style.css": 200, "/auth/tokenlife.js": 200,
		"/index.html": 404, "/site/app.js": 404, "/auth/refresh": 405,
	} {
		h := c.want(status, "GET", path, "").Header
		if got := h.Get("Content-Security-Policy"); !strings.Contains(got, "default-src 'none'; script-src 'self'; ") || strings.Contains(got, "unsafe") {
			t.Errorf("%s: Content-Security-Policy: %q", path, got)
		}
		if h.Get("X-Content-Type-Options") != "nosniff" || len(h["Set-Cookie"]) > 0 {
			t.Errorf("%s: X-Content-Type-Options: %q, and %d cookies", path, h.Get("X-Content-Type-Options"), len(h["Set-Cookie"]))
		}
	}
	page, err := files.ReadFile("site/index.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, inline := range []string{"<style", "style=", "onclick=", "javascript:", "<script>", "http://", "https://"} {
		if bytes.Contains(page, []byte(inline)) {
			t.Errorf("the page has %s", inline)
		}
	}
}

func TestTheProgramServesUntilItIsStopped(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	read, write := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- run(ctx, "localhost:0", 20*time.Second, write) }()
	line := make([]byte, 200)
	n, err := read.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	_, address, _ := strings.Cut(string(line[:n]), " is at ")
	address, _, _ = strings.Cut(address, " ")
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("the page: %s", answer.Status)
	}
	taken := strings.TrimPrefix(address, "http://")
	if err := run(ctx, taken, 20*time.Second, io.Discard); err == nil || !strings.Contains(err.Error(), "-listen") {
		t.Errorf("an address that is taken: %v", err)
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("after the stop: %v", err)
	}
	if err := run(t.Context(), "localhost:0", time.Millisecond, io.Discard); err == nil || !strings.HasPrefix(err.Error(), "spa: local: Issuer.Life") {
		t.Errorf("a life of a millisecond: %v", err)
	}
}
