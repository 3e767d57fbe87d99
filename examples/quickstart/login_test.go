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
)

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
