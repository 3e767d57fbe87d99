package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/refresh/local"
)

// life is how long the access tokens of the tests live, on the bubble's clock.
const life = 20 * time.Second

// origin is where the tests' site is. The jar gives out Secure cookies for https
// only; nothing listens there.
const origin = "https://site.example"

// A user is somebody with a browser at a site of their own. It calls the site's
// handler directly, so that time can be the bubble's.
type user struct {
	t      *testing.T
	site   *site
	jar    http.CookieJar
	minted *atomic.Int64 // access tokens that the issuer has signed
}

func newUser(t *testing.T) *user {
	t.Helper()
	u := &user{t: t, minted: new(atomic.Int64)}
	var err error
	u.site, err = newSite(&local.Issuer{
		URL:      "https://issuer.example",
		Audience: []string{"quickstart"},
		Life:     life,
		Claims: func(context.Context, string) (map[string]any, error) {
			u.minted.Add(1)
			return nil, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := u.site.Close(); err != nil {
			t.Error(err)
		}
	})
	if u.jar, err = cookiejar.New(nil); err != nil {
		t.Fatal(err)
	}
	return u
}

// send sends a request with the given cookies and returns the answer. Header
// lists names and values in turn.
func (u *user) send(method, path string, form url.Values, with []*http.Cookie, header ...string) *http.Response {
	r := httptest.NewRequest(method, origin+path, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for name, value := range pairs(header) {
		r.Header.Set(name, value)
	}
	for _, c := range with {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	u.site.ServeHTTP(w, r)
	return w.Result()
}

func pairs(list []string) map[string]string {
	m := make(map[string]string)
	for pair := range slices.Chunk(list, 2) {
		m[pair[0]] = pair[1]
	}
	return m
}

// do is send with the cookies of the user's browser, which keeps those it gets.
func (u *user) do(method, path string, form url.Values, header ...string) *http.Response {
	answer := u.send(method, path, form, u.cookies(), header...)
	u.jar.SetCookies(home(), answer.Cookies())
	return answer
}

func home() *url.URL { return &url.URL{Scheme: "https", Host: "site.example", Path: "/"} }

func (u *user) cookies() []*http.Cookie { return u.jar.Cookies(home()) }

// cookie returns the value of a cookie, or "" if the browser has none.
func (u *user) cookie(name string) string {
	for _, c := range u.cookies() {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

func (u *user) signIn() *http.Response {
	u.t.Helper()
	answer := u.do("POST", "/auth/login", url.Values{"name": {"Ada"}}, "Sec-Fetch-Mode", "navigate")
	if answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Location") != "/" {
		u.t.Fatalf("signing in: %s to %q, want 303 to /", answer.Status, answer.Header.Get("Location"))
	}
	return answer
}

// want calls the API and expects the status.
func (u *user) want(status int, when string) {
	u.t.Helper()
	if got := u.do("GET", "/api/hello", nil).StatusCode; got != status {
		u.t.Fatalf("%s: %d, want %d", when, got, status)
	}
}

func body(t *testing.T, answer *http.Response) string {
	t.Helper()
	var b bytes.Buffer
	if _, err := b.ReadFrom(answer.Body); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
