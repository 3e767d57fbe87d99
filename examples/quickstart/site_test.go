package main

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
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

func TestTheLoginLivesOnPastThreeExpiries(t *testing.T) {
	tests := []struct {
		name string
		wait time.Duration
	}{
		{"a page that calls every second", time.Second},
		{"a page that calls when the token has just ended", life},
		{"a page that calls when the token has long ended", 40 * life},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := newUser(t)
				u.signIn()
				marker, renewals := u.cookie(cookies.Life), 0
				for begin := time.Now(); time.Since(begin) <= 3*max(life, tt.wait); {
					time.Sleep(tt.wait)
					u.want(200, fmt.Sprintf("after %v", time.Since(begin)))
					now := u.cookie(cookies.Life)
					if now != "" && now != marker {
						renewals++
						marker = now
					}
				}
				if renewals < 3 || int64(renewals) != u.minted.Load()-1 {
					t.Errorf("%d renewals seen, %d made; want 3 or more, and all seen", renewals, u.minted.Load()-1)
				}
			})
		})
	}
}

func TestAReloadedPageRenewsTheLoginAsWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUser(t)
		u.signIn()
		time.Sleep(2 * life)
		if u.cookie(cookies.Life) != "" {
			t.Error("the marker outlives the access token")
		}
		if page := body(t, u.do("GET", "/", nil)); !strings.Contains(page, `<strong id="user">Ada</strong>`) {
			t.Error("the page shows nobody")
		}
		if u.cookie(cookies.Life) == "" {
			t.Error("the page brought no marker")
		}
	})
}

func TestTwentyCallsAfterTheExpiryAreOneRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUser(t)
		u.signIn()
		time.Sleep(2 * life)
		before, old := u.minted.Load(), u.cookies()
		answers := make([]*http.Response, 20)
		var wg sync.WaitGroup
		for i := range answers {
			wg.Go(func() { answers[i] = u.send("GET", "/api/hello", nil, old) })
		}
		wg.Wait()
		for i, answer := range answers {
			if answer.StatusCode != 200 {
				t.Errorf("call %d: %s", i, answer.Status)
			}
			got, want := answer.Header["Set-Cookie"], answers[0].Header["Set-Cookie"]
			if len(got) != 3 || !slices.Equal(got, want) {
				t.Errorf("call %d brought other cookies than the first", i)
			}
			// The page's script knows the answers with cookies by this.
			if got := answer.Header.Get("Cache-Control"); got != "private, no-store" {
				t.Errorf("call %d, which brought cookies, has Cache-Control %q", i, got)
			}
			u.jar.SetCookies(home(), answer.Cookies())
		}
		if n := u.minted.Load() - before; n != 1 {
			t.Errorf("%d refreshes, want 1", n)
		}
		answer := u.do("GET", "/api/hello", nil)
		if got := answer.Header.Get("Cache-Control"); answer.StatusCode != 200 || got != "no-store" {
			t.Errorf("a call that brings no cookies: %s with Cache-Control %q", answer.Status, got)
		}
	})
}

func TestSigningOutEndsTheLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUser(t)
		u.signIn()
		old := u.cookies()
		if answer := u.do("POST", "/auth/logout", nil, "Sec-Fetch-Site", "cross-site"); answer.StatusCode != 403 {
			t.Errorf("from another site: %s, want 403", answer.Status)
		}
		u.want(200, "after another site's attempt")
		answer := u.do("POST", "/auth/logout", url.Values{}, "Sec-Fetch-Mode", "navigate")
		if answer.StatusCode != 303 || answer.Header.Get("Location") != "/" {
			t.Errorf("got %s to %q, want 303 to /", answer.Status, answer.Header.Get("Location"))
		}
		if left := u.cookies(); len(left) != 1 || left[0].Name != cookies.Life || left[0].Value != "0" {
			t.Errorf("the browser keeps %d cookies, the marker is %q; want the marker alone, and 0", len(left), u.cookie(cookies.Life))
		}
		u.want(401, "signed out")
		time.Sleep(2 * time.Minute)
		if got := u.send("GET", "/api/hello", nil, old).StatusCode; got != 401 {
			t.Errorf("with the cookies of before: %d, want 401", got)
		}
	})
}

func TestAnOldRefreshTokenEndsTheLoginAfterTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUser(t)
		u.signIn()
		stolen := u.cookies()
		time.Sleep(2 * life)
		u.want(200, "at the first renewal")
		u.want(200, "with the new cookies")
		if got := u.send("GET", "/api/hello", nil, stolen).StatusCode; got != 200 {
			t.Errorf("the old cookies within the grace: %d, want 200", got)
		}
		time.Sleep(2 * time.Minute)
		answer := u.send("GET", "/api/hello", nil, stolen)
		if answer.StatusCode != 401 {
			t.Errorf("the old cookies later: %s, want 401", answer.Status)
		}
		i := slices.IndexFunc(answer.Cookies(), func(c *http.Cookie) bool { return c.Name == cookies.Life })
		if i < 0 || answer.Cookies()[i].Value != "0" {
			t.Error("the thief's marker is not 0")
		}
		u.want(401, "the owner, whose login is over as well")
		if got := u.cookie(cookies.Life); got != "0" {
			t.Errorf("the owner's marker is %q, want 0", got)
		}
	})
}

func TestScriptsCanAskAndRenewByThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUser(t)
		if got := body(t, u.do("GET", "/auth/session", nil)); !strings.Contains(got, `"authenticated":false`) {
			t.Errorf("without a login: %s", got)
		}
		u.signIn()
		if got := body(t, u.do("GET", "/auth/session", nil)); !strings.Contains(got, `"authenticated":true,"subject":"Ada","expires_in":20`) {
			t.Errorf("signed in: %s", got)
		}
		marker := u.cookie(cookies.Life)
		if got := u.do("POST", "/auth/refresh", nil).StatusCode; got != 204 || u.cookie(cookies.Life) == marker {
			t.Errorf("a refresh that was asked for: %d, want 204 and a new marker", got)
		}
	})
}

func TestASiteNeedsAWorkingIssuer(t *testing.T) {
	if _, err := newSite(&local.Issuer{URL: "https://issuer.example"}); err == nil {
		t.Error("an issuer without an audience: no error")
	}
	if _, err := newSite(&local.Issuer{URL: "https://issuer.example", Audience: []string{"a"}, Life: time.Millisecond}); err == nil {
		t.Error("a life of a millisecond: no error")
	}
}
