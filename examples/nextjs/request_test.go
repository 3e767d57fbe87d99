package main

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tokenlife/tokenlife/examples/internal/guard/leak"
)

// pages are of the app router, of the pages router, and one that was rendered
// when the app was built.
var pages = []string{"/", "/account", "/report", "/welcome"}

// An answer is what came to a request that no browser made.
type answer struct {
	status int
	header http.Header
	body   string
	err    error
}

// get opens a page as the tab would with its cookies, and does not tell the tab
// of the answer.
func (v *way) get(t *testing.T, method, path string, header ...string) answer {
	r, err := http.NewRequestWithContext(t.Context(), method, v.url+path, nil)
	if err != nil {
		return answer{err: err}
	}
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		Timeout:       patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(r)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(body), err}
}

// cookieHeader is what the tab would send.
func (v *way) cookieHeader(t *testing.T) string {
	t.Helper()
	var pairs []string
	for name, c := range v.user.Cookies(t) {
		pairs = append(pairs, name+"="+c.Value)
	}
	return strings.Join(pairs, "; ")
}

// check looks at the answer to a request whose login was renewed.
func (v *way) check(t *testing.T, path string, a answer) {
	t.Helper()
	if a.err != nil || a.status != http.StatusOK {
		t.Errorf("%s is answered with %d: %v", path, a.status, a.err)
		return
	}
	if shows := strings.Contains(a.body, `<strong id="user">`+v.name+`</strong>`); shows != (path != "/welcome") {
		t.Errorf("%s shows the user: %v", path, shows)
	}
	// The old token would be good enough to show the user, for its leeway.
	if path == "/account" {
		_, rest, _ := strings.Cut(a.body, `<span id="left">`)
		if left, _, ok := strings.Cut(rest, "<"); !ok || v.showsOldToken(left) {
			t.Errorf("%s was rendered with the old token", path)
		}
	}
	var set []string
	for _, line := range a.header["Set-Cookie"] {
		name, _, _ := strings.Cut(line, "=")
		set = append(set, name)
	}
	slices.Sort(set)
	if want := []string{"__Host-accessToken", "__Host-idToken", "__Host-refreshToken", "tokenLife"}; !slices.Equal(set, want) {
		t.Errorf("%s sets %v, want %v", path, set, want)
	}
	if got := a.header.Get("Cache-Control"); !strings.Contains(got, "private") || !strings.Contains(got, "no-store") || strings.Contains(got, "s-maxage") {
		t.Errorf("%s with cookies may be cached: %s", path, got)
	}
	rest := a.header.Clone()
	rest.Del("Set-Cookie")
	v.silent(t, path, fmt.Sprint(rest)+a.body)
}

// silent checks that text has nothing of a token or of a cookie's value.
func (v *way) silent(t *testing.T, where, text string) {
	t.Helper()
	v.mu.Lock()
	secrets := slices.Clone(v.secrets)
	v.mu.Unlock()
	for name, c := range v.user.Cookies(t) {
		if name != "tokenLife" {
			secrets = append(secrets, c.Value)
		}
	}
	if len(secrets) < 3 {
		t.Fatal("there are no secrets to look for")
	}
	if leak.Find(t, []byte(text), map[string][]string{"a token": secrets}) != nil {
		t.Errorf("%s shows a token", where)
	}
}
