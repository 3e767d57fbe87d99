package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// everyStore are the values of STORE; the servers are started for the test.
var everyStore = []struct {
	name  string
	lasts bool // longer than the gateway
	url   func(t *testing.T) string
}{
	{"memory", false, func(*testing.T) string { return "memory:" }},
	{"SQLite", true, func(t *testing.T) string { return created(t, "sqlite:"+filepath.Join(t.TempDir(), "store.db")) }},
	{"PostgreSQL", true, func(t *testing.T) string { return created(t, refreshtest.StartPostgres(t)) }},
	{"Redis", true, func(t *testing.T) string { return "redis://" + refreshtest.StartRedis(t).Addr }},
}

func TestSessionsOnTheServer(t *testing.T) {
	for _, store := range everyStore {
		t.Run(store.name, func(t *testing.T) {
			f := newFleet(t, 1, store.url(t), "SESSIONS", "server")
			cookie := f.signIn(t)

			held := f.held(t, cookie)
			if strings.Contains(held.Access+held.Refresh+held.ID, ".") {
				t.Error("a cookie holds a JWT")
			}
			if a := f.do(t, http.MethodGet, "/hello", cookie); a.status != http.StatusOK {
				t.Fatalf("a page is answered with %d: %s", a.status, a.body)
			}
			sent := strings.TrimPrefix(f.lastSeen().Header.Get("Authorization"), "Bearer ")
			if strings.Count(sent, ".") != 2 {
				t.Error("the upstream does not get the access token")
			}
			f.secret(sent)
			if a := f.do(t, http.MethodGet, "/hello", "", "Authorization", "Bearer "+held.Access); a.status != http.StatusUnauthorized {
				t.Errorf("a handle as a bearer token is answered with %d", a.status)
			}

			newer := f.refreshTogether(t, 50, cookie)
			if store.lasts {
				if err := f.stop(); err != nil {
					t.Fatal(err)
				}
				f.join(t)
				f.url = f.all[len(f.all)-1].url
			}
			if a := f.do(t, http.MethodGet, "/hello", newer); a.status != http.StatusOK {
				t.Fatalf("after a restart a page is answered with %d: %s", a.status, a.body)
			}
			newest := f.refreshTogether(t, 1, newer)

			if a := f.do(t, http.MethodPost, "/auth/logout", newest); a.status != http.StatusNoContent {
				t.Fatalf("the logout is answered with %d", a.status)
			}
			for name, dead := range map[string]string{"the newest": newest, "the newer": newer, "the first": cookie} {
				if a := f.do(t, http.MethodGet, "/hello", dead); a.status != http.StatusUnauthorized {
					t.Errorf("after the logout %s cookies are answered with %d", name, a.status)
				}
			}
		})
	}
}

// A handle that has been replaced, and whose successor is in use, is in the
// hands of somebody else.
func TestAStolenHandleEndsTheLogin(t *testing.T) {
	s := newSite(t, map[string]string{"SESSIONS": "server", "GRACE": "0s"})
	cookie := s.signIn(t)
	newer := s.refreshTogether(t, 1, cookie)
	newest := s.refreshTogether(t, 1, newer)
	if a := s.do(t, http.MethodPost, "/auth/refresh", cookie); a.status != http.StatusUnauthorized {
		t.Errorf("the stolen handle is answered with %d", a.status)
	}
	if a := s.do(t, http.MethodPost, "/auth/refresh", newest); a.status != http.StatusUnauthorized {
		t.Errorf("the login goes on, with %d", a.status)
	}
	if !s.lines.has("WARN", "session_reused") {
		t.Error("nobody is told")
	}
}

// The provider says by itself that its user has signed out.
func TestBackChannelLogout(t *testing.T) {
	for _, where := range []string{"cookie", "server"} {
		t.Run("logins kept in "+where, func(t *testing.T) {
			s := newSite(t, map[string]string{"SESSIONS": where})
			mine, other := s.signIn(t), s.cookies(t, s.provider.Login("somebody else"))
			if where == "server" {
				other = ""
			}
			var session struct{ Subject string }
			if err := json.Unmarshal([]byte(s.do(t, http.MethodGet, "/auth/session", mine).body), &session); err != nil || session.Subject == "" {
				t.Fatalf("no session: %v", err)
			}
			token := s.provider.LogoutToken(map[string]any{"sub": session.Subject})
			s.secret(token)
			for _, tt := range []struct {
				name, token string
				status      int
			}{
				{"another's client", s.provider.LogoutToken(map[string]any{"sub": session.Subject, "aud": "another"}), http.StatusBadRequest},
				{"no logout token", "nothing", http.StatusBadRequest},
			} {
				if status := s.logoutByProvider(t, tt.token); status != tt.status {
					t.Errorf("%s: status %d, want %d", tt.name, status, tt.status)
				}
			}
			if a := s.do(t, http.MethodGet, "/hello", mine); a.status != http.StatusOK {
				t.Fatalf("before the logout a page is answered with %d", a.status)
			}
			if status := s.logoutByProvider(t, token); status != http.StatusOK {
				t.Fatalf("the logout is answered with %d", status)
			}
			if status := s.logoutByProvider(t, token); status != http.StatusBadRequest {
				t.Errorf("the same again is answered with %d", status)
			}
			for _, r := range [][2]string{{http.MethodGet, "/hello"}, {http.MethodPost, "/auth/refresh"}} {
				if a := s.do(t, r[0], r[1], mine); a.status != http.StatusUnauthorized {
					t.Errorf("after the logout %s is answered with %d", r[1], a.status)
				}
			}
			if a := s.do(t, http.MethodGet, "/hello", other); other != "" && a.status != http.StatusOK {
				t.Errorf("another's login is answered with %d", a.status)
			}
			again := s.signIn(t)
			if s.do(t, http.MethodGet, "/hello", again).status != http.StatusOK {
				t.Error("who signs in again is not signed in")
			}
			late := s.provider.LogoutToken(map[string]any{"sub": session.Subject, "iat": time.Now().Add(-time.Minute).Unix()})
			s.secret(late)
			if status := s.logoutByProvider(t, late); status != http.StatusOK {
				t.Fatalf("a logout that is told late is answered with %d", status)
			}
			for _, r := range [][2]string{{http.MethodGet, "/hello"}, {http.MethodPost, "/auth/refresh"}} {
				if a := s.do(t, r[0], r[1], again); a.status >= http.StatusBadRequest {
					t.Errorf("a logout from before the sign-in has ended it: %s is answered with %d", r[1], a.status)
				}
			}
		})
	}
}

func (s *site) logoutByProvider(t *testing.T, token string) int {
	t.Helper()
	resp, err := s.client.PostForm(s.url+"/auth/backchannel-logout", url.Values{"logout_token": {token}})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// refreshTogether refreshes n times at once with the same cookies, and returns
// the new ones, which must be the same for all and cost one call of the provider.
func (s *site) refreshTogether(t *testing.T, n int, cookie string) string {
	t.Helper()
	before := s.provider.Stats().Refreshed
	var mu sync.Mutex
	got := map[string]int{}
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			a, err := s.try(t.Context(), http.MethodPost, "/auth/refresh", cookie)
			if err != nil || a.status != http.StatusNoContent {
				t.Errorf("a refresh is answered with %d: %v", a.status, err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			got[header(a.set)]++
		})
	}
	wg.Wait()
	if calls := s.provider.Stats().Refreshed - before; calls != 1 || len(got) != 1 {
		t.Fatalf("%d refreshes: %d calls of the provider, %d different answers", n, calls, len(got))
	}
	for newer := range got {
		cookie = newer
	}
	return cookie
}
