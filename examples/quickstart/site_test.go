package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/cookies"
	"github.com/tokenlife/tokenlife/refresh/local"
)

func TestSigningInSetsTheCookiesAsPromised(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUser(t)
		now := time.Now().Unix()
		answer := u.signIn()
		want := map[string]string{
			"__Host-" + cookies.Access:  "Path=/; Max-Age=2592000; HttpOnly; Secure; SameSite=Lax",
			"__Host-" + cookies.Refresh: "Path=/; Max-Age=2592000; HttpOnly; Secure; SameSite=Lax",
			cookies.Life:                "Path=/; Max-Age=15; Secure; SameSite=Lax",
		}
		for _, line := range answer.Header["Set-Cookie"] {
			pair, attributes, _ := strings.Cut(line, "; ")
			name, value, _ := strings.Cut(pair, "=")
			if value == "" || attributes != want[name] {
				t.Errorf("%s has %q, want %q", name, attributes, want[name])
			}
			delete(want, name)
		}
		if len(want) > 0 {
			t.Errorf("not set: %v", want)
		}
		if got, prefix := u.cookie(cookies.Life), fmt.Sprintf("%d.", now+20); !strings.HasPrefix(got, prefix) {
			t.Errorf("the marker is %q, want %q and a generation", got, prefix)
		}
		if got := answer.Header.Get("Cache-Control"); got != "private, no-store" {
			t.Errorf("Cache-Control: %q", got)
		}
	})
}

func TestThePageShowsWhoIsSignedInAndNoToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUser(t)
		if page := body(t, u.do("GET", "/", nil)); !strings.Contains(page, `id="signin"`) || strings.Contains(page, "<script") {
			t.Error("without a login there is no sign-in form, or a script")
		}
		u.do("POST", "/auth/login", url.Values{"name": {` <b>"Ada"</b> `}})
		page := body(t, u.do("GET", "/", nil))
		if !strings.Contains(page, `<strong id="user">&lt;b&gt;&#34;Ada&#34;&lt;/b&gt;</strong>`) {
			t.Error("the page does not show the name, or not as text")
		}
		if !strings.Contains(page, fmt.Sprintf(`data-now="%d" data-life="20"`, time.Now().UnixMilli())) {
			t.Error("the page does not tell the script the time and the token's life")
		}
		for _, path := range []string{"/", "/api/hello", "/auth/session"} {
			answer := body(t, u.do("GET", path, nil))
			for _, name := range []string{"__Host-accessToken", "__Host-refreshToken"} {
				if token := u.cookie(name); token == "" || strings.Contains(answer, token[:12]) {
					t.Errorf("%s shows the cookie %s, or there is none", path, name)
				}
			}
		}
	})
}

func TestEveryAnswerForbidsForeignAndInlineCode(t *testing.T) {
	const want = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	u := newUser(t)
	u.signIn()
	for path, status := range map[string]int{
		"/": 200, "/quickstart.js": 200, "/quickstart.css": 200, "/api/hello": 200, "/auth/session": 200,
		"/site/page.html": 404, "/page.html": 404, "/auth/login": 405,
	} {
		answer := u.do("GET", path, nil)
		if answer.StatusCode != status {
			t.Errorf("%s: %s, want %d", path, answer.Status, status)
		}
		if got := answer.Header.Get("Content-Security-Policy"); got != want {
			t.Errorf("%s: Content-Security-Policy: %q", path, got)
		}
		if got := answer.Header.Get("X-Content-Type-Options"); got != "nosniff" {
			t.Errorf("%s: X-Content-Type-Options: %q", path, got)
		}
	}
	// What the policy would block has no place in the page.
	page := body(t, u.do("GET", "/", nil))
	for _, inline := range []string{"<style", "style=", "onclick=", "javascript:", "//cdn", "<script>"} {
		if strings.Contains(page, inline) {
			t.Errorf("the page has %s", inline)
		}
	}
}

func TestTheFormTakesAnyNameButFromThisOriginOnly(t *testing.T) {
	tests := []struct {
		name, user string
		header     []string
		want       int
	}{
		{"a name", "Ada", nil, 303},
		{"no name", "", nil, 400},
		{"only spaces", "  \t", nil, 400},
		{"a very long name", strings.Repeat("a", 81), nil, 400},
		{"a form on another site", "Eve", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"a form on a neighbour", "Eve", []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"another origin in an old browser", "Eve", []string{"Sec-Fetch-Site", "", "Origin", "https://evil.example"}, 403},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := newUser(t)
			answer := u.do("POST", "/auth/login", url.Values{"name": {tt.user}}, tt.header...)
			if answer.StatusCode != tt.want {
				t.Errorf("got %s, want %d", answer.Status, tt.want)
			}
			if set := len(answer.Cookies()) > 0; set != (tt.want == 303) {
				t.Errorf("cookies set: %v", set)
			}
		})
	}
}

func TestTheFormReadsNoMoreThanAForm(t *testing.T) {
	u := newUser(t)
	form := url.Values{"name": {"Ada"}, "more": {strings.Repeat("a", 5000)}}
	if got := u.do("POST", "/auth/login", form).StatusCode; got != http.StatusBadRequest {
		t.Errorf("got %d, want 400", got)
	}
}

func TestTheAPIAsksForALogin(t *testing.T) {
	u := newUser(t)
	answer := u.do("GET", "/api/hello", nil)
	if answer.StatusCode != http.StatusUnauthorized || answer.Header.Get("WWW-Authenticate") != `Bearer realm="api"` {
		t.Errorf("got %s and the challenge %q", answer.Status, answer.Header.Get("WWW-Authenticate"))
	}
}

func TestASiteNeedsAWorkingIssuer(t *testing.T) {
	if _, err := newSite(&local.Issuer{URL: "https://issuer.example"}); err == nil {
		t.Error("an issuer without an audience: no error")
	}
	if _, err := newSite(&local.Issuer{URL: "https://issuer.example", Audience: []string{"a"}, Life: time.Millisecond}); err == nil {
		t.Error("a life of a millisecond: no error")
	}
}
