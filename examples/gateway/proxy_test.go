package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/cookies"
)

func TestWhatTheUpstreamGets(t *testing.T) {
	spoofed := []string{
		"X-Forwarded-For", "1.2.3.4", "X-Forwarded-Proto", "gopher", "X-Forwarded-Host", "evil.example", "Forwarded", "for=1.2.3.4",
		"X-Forwarded-Prefix", "/admin", "X_Forwarded_Proto", "gopher", "X-Original-URL", "/admin", "X-Rewrite-URL", "/admin",
		"X-Real-IP", "1.2.3.4", "True-Client-IP", "1.2.3.4",
	}
	s := newSite(t, map[string]string{"PUBLIC_URL": "https://shop.example", "TLS_CERT": "", "PUBLIC_PATHS": "/assets"})
	login := s.signIn(t)
	s.do(t, http.MethodGet, "/a%20b/c%2Fd?q=1;2&x=%zz", login+"; theme=dark; __Host-tokenLogin-x=1abc", spoofed...)
	r := s.lastSeen()
	for _, test := range []struct{ name, got, want string }{
		{"the path and query, as sent", r.RequestURI, "/a%20b/c%2Fd?q=1;2&x=%zz"},
		{"Host", r.Host, strings.TrimPrefix(s.url, "http://")},
		{"Cookie", strings.Join(r.Header["Cookie"], "|"), "theme=dark"},
		{"X-Forwarded-For", r.Header.Get("X-Forwarded-For"), "127.0.0.1"},
		{"X-Forwarded-Host", r.Header.Get("X-Forwarded-Host"), strings.TrimPrefix(s.url, "http://")},
		{"X-Forwarded-Proto", r.Header.Get("X-Forwarded-Proto"), "https"},
		{"Forwarded", r.Header.Get("Forwarded"), ""},
		{"X-Forwarded-Prefix", r.Header.Get("X-Forwarded-Prefix"), ""},
		{"X_Forwarded_Proto", r.Header.Get("X_Forwarded_Proto"), ""},
		{"X-Original-URL", r.Header.Get("X-Original-URL"), ""},
		{"X-Rewrite-URL", r.Header.Get("X-Rewrite-URL"), ""},
		{"X-Real-IP", r.Header.Get("X-Real-IP"), ""},
		{"True-Client-IP", r.Header.Get("True-Client-IP"), ""},
	} {
		if test.got != test.want {
			t.Errorf("%s is %q, want %q", test.name, test.got, test.want)
		}
	}
	scheme, access, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if scheme != "Bearer" || strings.Count(access, ".") != 2 {
		t.Errorf("the Authorization header is a %q", scheme)
	}
	s.secret(access)

	// The same token, sent by a client without cookies, is verified and passed on.
	if a := s.do(t, http.MethodGet, "/", "", "Authorization", "Bearer "+access); a.status != http.StatusOK {
		t.Errorf("with a bearer token: status %d", a.status)
	}
	if got := s.lastSeen().Header.Get("Authorization"); got != "Bearer "+access {
		t.Error("the client's own token does not arrive")
	}
	// The Connection header names what a client wants dropped on the way, which
	// the token of a login is not.
	for _, path := range []string{"/", "/assets/a.css"} {
		s.do(t, http.MethodGet, path, login, "Connection", "Authorization")
		if got := s.lastSeen().Header.Get("Authorization"); got != "Bearer "+access {
			t.Errorf("%s: a client can have the token dropped", path)
		}
	}
	s.do(t, http.MethodGet, "/assets/a.css", "", "Authorization", "Basic eDp5", "Connection", "Authorization")
	if got := s.lastSeen().Header.Get("Authorization"); got != "" {
		t.Errorf("what is not ours and is to be dropped arrives: %q", got)
	}

	for _, path := range []string{"/", "/assets/a.css"} {
		if a := s.do(t, http.MethodGet, path, login, "Authorization", "Bearer x"+access); a.status != http.StatusUnauthorized {
			t.Errorf("%s with a forged bearer token: status %d", path, a.status)
		}
	}
}

func TestKeepCookies(t *testing.T) {
	s := newSite(t, map[string]string{"KEEP_COOKIES": "1"})
	old := s.expired(t, "alice")
	a := s.do(t, http.MethodGet, "/", old+"; theme=dark")
	got := strings.Join(s.lastSeen().Header["Cookie"], "; ")
	if !strings.Contains(got, "theme=dark") || !strings.Contains(got, "tokenLife="+a.cookie(cookies.Life)) {
		t.Error("the upstream does not get the new cookies")
	}
}

func TestAnUpstreamThatIsDown(t *testing.T) {
	s := newSite(t, nil)
	login := s.signIn(t)
	s.upstream.Close()
	a := s.do(t, http.MethodGet, "/", login)
	if a.status != http.StatusBadGateway || a.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("status %d, %s", a.status, a.header.Get("Content-Type"))
	}
	// The login that was renewed on the way is not lost with the page.
	if a := s.do(t, http.MethodGet, "/", s.expired(t, "bob")); a.status != http.StatusBadGateway || a.cookie("__Host-refreshToken") == "" {
		t.Errorf("a refresh: status %d, %d cookies", a.status, len(a.set))
	}
	if !s.lines.has("WARN", "the upstream cannot be reached") {
		t.Error("the log does not tell")
	}
}

func TestStreamsArriveAsTheyAreSent(t *testing.T) {
	next := make(chan struct{})
	s := newSiteBefore(t, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Cache-Control", "public")
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			http.NewResponseController(w).Flush()
			select {
			case <-next:
			case <-r.Context().Done():
			}
		}
	}))
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Cookie", s.expired(t, "alice"))
	resp, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := resp.Header["Cache-Control"]; len(got) != 1 || got[0] != "private, no-store" {
		t.Errorf("Cache-Control is %q", got)
	}
	if a := (answer{set: resp.Cookies()}); a.cookie("__Host-accessToken") == "" {
		t.Error("the new cookies are lost")
	}
	lines := bufio.NewScanner(resp.Body)
	for i := range 3 {
		// The upstream goes on only when this has arrived.
		if !lines.Scan() || lines.Text() != fmt.Sprintf("data: %d", i) || !lines.Scan() {
			t.Fatalf("event %d does not arrive: %q %v", i, lines.Text(), lines.Err())
		}
		next <- struct{}{}
	}
}

func TestUpgradesAreJoined(t *testing.T) {
	s := newSiteBefore(t, nil, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_, _ = io.Copy(conn, buf)
	}))
	for _, test := range []struct {
		name, origin, cookie string
		want                 int
	}{
		{"of another site", "https://evil.example", s.signIn(t), http.StatusForbidden},
		{"without a login", s.url, "", http.StatusUnauthorized},
		{"of this site, until the gateway stops", s.url, s.expired(t, "alice"), http.StatusSwitchingProtocols},
	} {
		t.Run(test.name, func(t *testing.T) {
			conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nOrigin: %s\r\nCookie: %s\r\n\r\n",
				strings.TrimPrefix(s.url, "http://"), test.origin, test.cookie)
			answers := bufio.NewReader(conn)
			resp, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != test.want {
				t.Fatalf("status %d, want %d", resp.StatusCode, test.want)
			}
			if test.want != http.StatusSwitchingProtocols {
				return
			}
			if a := (answer{set: resp.Cookies()}); a.cookie("__Host-accessToken") == "" {
				t.Error("the new cookies are lost")
			}
			_, _ = io.WriteString(conn, "hello\n")
			if line, err := answers.ReadString('\n'); line != "hello\n" {
				t.Errorf("the echo is %q: %v", line, err)
			}
			defer func() {
				if err := s.stop(); err != nil {
					t.Error(err)
				}
				if _, err := answers.ReadByte(); err == nil {
					t.Error("the connection outlives the gateway")
				}
			}()
		})
	}
}

func TestOnlyWebSocketsAreJoined(t *testing.T) {
	s := newSite(t, map[string]string{"PUBLIC_PATHS": "/public"})
	a := s.do(t, http.MethodGet, "/public", "", "Connection", "Upgrade, HTTP2-Settings", "Upgrade", "h2c", "HTTP2-Settings", "AAMAAABkAAQAAP__")
	if a.status != http.StatusOK {
		t.Errorf("status %d", a.status)
	}
	for _, name := range []string{"Upgrade", "Connection", "Http2-Settings"} {
		if got := s.lastSeen().Header.Get(name); got != "" {
			t.Errorf("the upstream gets %s: %s", name, got)
		}
	}
}

func TestRoutes(t *testing.T) {
	s := newSite(t, map[string]string{"PUBLIC_PATHS": "/"})
	for _, test := range []struct {
		method, path string
		want         int
	}{
		{http.MethodGet, "/healthz", http.StatusOK},
		{http.MethodHead, "/healthz", http.StatusOK},
		{http.MethodPost, "/healthz", http.StatusMethodNotAllowed},
		{http.MethodPost, "/auth/backchannel-logout", http.StatusBadRequest},
		{http.MethodGet, "/auth/backchannel-logout", http.StatusMethodNotAllowed},
		{http.MethodGet, "/auth/tokenlife.js", http.StatusOK},
		{http.MethodPost, "/auth/tokenlife.js", http.StatusMethodNotAllowed},
		{http.MethodPost, "/auth/login", http.StatusMethodNotAllowed},
		{http.MethodPost, "/auth/callback", http.StatusMethodNotAllowed},
		{http.MethodGet, "/auth/refresh", http.StatusMethodNotAllowed},
		{http.MethodGet, "/auth/logout", http.StatusMethodNotAllowed},
		{http.MethodPost, "/auth/session", http.StatusMethodNotAllowed},
		{http.MethodGet, "/auth/callback", http.StatusBadRequest},
		{http.MethodGet, "/auth/session", http.StatusOK},
		{http.MethodPost, "/auth/refresh", http.StatusUnauthorized},
		{http.MethodGet, "/%61uth/session", http.StatusOK},
		{http.MethodTrace, "/", http.StatusMethodNotAllowed},
	} {
		if a := s.do(t, test.method, test.path, ""); a.status != test.want {
			t.Errorf("%s %s: status %d, want %d", test.method, test.path, a.status, test.want)
		}
	}
	if s.lastSeen() != nil {
		t.Error("one of them came to the upstream")
	}
	if a := s.do(t, http.MethodGet, "/healthz", ""); a.body != "ok\n" {
		t.Errorf("the health is %q", a.body)
	}
	for _, path := range []string{"/auth", "/auth/", "/auth/other", "/healthz/"} {
		if a := s.do(t, http.MethodGet, path, ""); a.status != http.StatusOK || s.lastSeen().RequestURI != path {
			t.Errorf("%s: status %d", path, a.status)
		}
	}
}
