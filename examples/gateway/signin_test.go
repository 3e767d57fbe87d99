package main

import (
	"bufio"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tokenlife/tokenlife/cookies"
	"github.com/tokenlife/tokenlife/examples/internal/need"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

func TestSignInAndOut(t *testing.T) {
	s := newSite(t, map[string]string{"SCOPES": "openid offline_access"})
	a := s.do(t, http.MethodGet, "/orders?year=2026", "", "Sec-Fetch-Mode", "navigate")
	if want := "/auth/login?return_to=%2Forders%3Fyear%3D2026"; a.status != http.StatusFound || a.location() != want {
		t.Fatalf("status %d to %q, want %q", a.status, a.location(), want)
	}
	asked, err := url.Parse(s.do(t, http.MethodGet, a.location(), "").location())
	if err != nil {
		t.Fatal(err)
	}
	q := asked.Query()
	if q.Get("redirect_uri") != s.url+"/auth/callback" || q.Get("scope") != "openid offline_access" || q.Get("prompt") != "consent" {
		t.Errorf("the provider is asked for scope %q, prompt %q, to %q", q.Get("scope"), q.Get("prompt"), q.Get("redirect_uri"))
	}

	callback, cookie := s.begin(t, "/orders?year=2026")
	a = s.do(t, http.MethodGet, callback, cookie)
	if a.status != http.StatusSeeOther || a.location() != "/orders?year=2026" {
		t.Fatalf("the callback: status %d to %q", a.status, a.location())
	}
	login := header(a.set)
	if a := s.do(t, http.MethodGet, "/auth/session", login); !strings.Contains(a.body, `"authenticated":true,"subject":"alice"`) {
		t.Errorf("the session is %s", a.body)
	}
	if a := s.do(t, http.MethodPost, "/auth/refresh", login); a.status != http.StatusNoContent || a.cookie("__Host-accessToken") == "" {
		t.Errorf("a refresh: status %d", a.status)
	}
	if a := s.do(t, http.MethodPost, "/auth/logout", login, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"); a.status != http.StatusForbidden {
		t.Errorf("another site's logout: status %d", a.status)
	}

	a = s.do(t, http.MethodPost, "/auth/logout?return_to=/bye", login, "Sec-Fetch-Mode", "navigate")
	if a.status != http.StatusOK || a.location() != "" || !strings.Contains(a.body, `action="`+s.provider.URL("/logout")+`"`) {
		t.Errorf("the logout: status %d, and a page that leads elsewhere than to the end of the session at the provider: %s", a.status, a.body)
	}
	for _, input := range []string{`name="post_logout_redirect_uri" value="` + s.url + `/bye"`, `name="id_token_hint" value="ey`, `name="client_id" value="client"`} {
		if !strings.Contains(a.body, input) {
			t.Errorf("the page has no %s", input)
		}
	}
	if a.cookie(cookies.Life) != "0" || s.provider.Stats().Revoked != 1 {
		t.Errorf("the marker is %q, and %d logins are revoked", a.cookie(cookies.Life), s.provider.Stats().Revoked)
	}
	if a := s.do(t, http.MethodPost, "/auth/refresh", login); a.status != http.StatusUnauthorized {
		t.Errorf("a refresh after the logout: status %d", a.status)
	}
	if a := s.do(t, http.MethodPost, "/auth/logout", ""); a.status != http.StatusNoContent {
		t.Errorf("a script's logout: status %d", a.status)
	}
	for _, kind := range []string{"signed_in", "signed_out"} {
		if !s.lines.has("INFO", kind) {
			t.Errorf("the log has no line %s", kind)
		}
	}
}

func TestAFailedSignInIsNoLogin(t *testing.T) {
	s := newSite(t, map[string]string{"REFRESH_TIMEOUT": "500ms"})
	for name, fault := range map[string]refreshtest.Fault{
		"500": refreshtest.ServerError, "no answer": refreshtest.Hang, "8 MiB": refreshtest.Huge, "a redirect": refreshtest.Redirect,
	} {
		callback, cookie := s.begin(t, "/")
		s.provider.Fail(fault, 1)
		a := s.do(t, http.MethodGet, callback, cookie, "Sec-Fetch-Mode", "navigate")
		if a.status != http.StatusBadGateway || a.cookie("__Host-accessToken") != "" || a.cookie(cookies.Life) != "" {
			t.Errorf("%s: status %d", name, a.status)
		}
		if !strings.Contains(a.body, `href="/auth/login?return_to=%2F"`) {
			t.Errorf("%s: the page has no link to begin anew: %s", name, a.body)
		}
	}
	if !s.lines.has("WARN", "sign_in_failed") {
		t.Error("the log does not tell")
	}
}

func TestInsecureHTTP(t *testing.T) {
	s := newSite(t, map[string]string{"PUBLIC_URL": "http://dev.test", "INSECURE_HTTP": "1"})
	callback, cookie := s.begin(t, "/")
	a := s.do(t, http.MethodGet, callback, cookie)
	if a.cookie("accessToken") == "" || a.cookie("refreshToken") == "" {
		t.Fatalf("status %d, %d cookies", a.status, len(a.set))
	}
	for _, c := range a.set {
		if c.Secure {
			t.Errorf("%s is Secure", c.Name)
		}
	}
	if a := s.do(t, http.MethodGet, "/", header(a.set)); a.status != http.StatusOK || s.lastSeen().Header["Cookie"] != nil {
		t.Errorf("status %d, and the upstream gets %d lines of cookies", a.status, len(s.lastSeen().Header["Cookie"]))
	}
}

// everything leaves nothing to discovery.
func everything() map[string]string {
	return map[string]string{
		"AUTH_URL": "PROVIDER/authorize?audience=api", "TOKEN_URL": "PROVIDER/token", "JWKS_URL": "PROVIDER/jwks",
		"REVOKE_URL": "PROVIDER/revoke", "END_SESSION_URL": "PROVIDER/logout?tenant=1",
	}
}

func TestWithoutDiscovery(t *testing.T) {
	variables := everything()
	variables["LOGOUT_HINT"] = "none"
	s := newSite(t, variables)
	s.mu.Lock()
	if len(s.asked) != 0 {
		t.Errorf("at its start the gateway asks the provider for %v", s.asked)
	}
	s.mu.Unlock()
	login := s.signIn(t)
	if a := s.do(t, http.MethodGet, "/", login); a.status != http.StatusOK {
		t.Errorf("status %d", a.status)
	}
	a := s.do(t, http.MethodPost, "/auth/logout?return_to=/bye", login, "Sec-Fetch-Mode", "navigate")
	if !strings.HasPrefix(a.location(), s.provider.URL("/logout?")) || strings.Contains(a.location(), "hint") || !strings.Contains(a.location(), "tenant=1") {
		t.Errorf("the logout leads to %q", a.location())
	}
	if s.requests("/revoke") != 1 || s.requests("/.well-known/openid-configuration") != 0 {
		t.Errorf("the provider is asked for %v", s.asked)
	}
}

func TestWithDiscoveryIsTriedAtTheStart(t *testing.T) {
	s := newSite(t, nil)
	eventually(t, "the provider is asked", func() bool { return s.requests("/.well-known/openid-configuration") == 1 })
}

func TestOriginsThatMaySendUnsafeRequests(t *testing.T) {
	s := newSite(t, map[string]string{"PUBLIC_URL": "https://shop.example:443", "TRUSTED_ORIGINS": "https://App.Example:443, https://other.example"})
	login := s.signIn(t)
	for origin, want := range map[string]int{
		"https://shop.example":  http.StatusOK, // though Host is another behind this proxy
		"https://app.example":   http.StatusOK,
		"https://other.example": http.StatusOK,
		"https://evil.example":  http.StatusForbidden,
		"http://shop.example":   http.StatusForbidden,
		"null":                  http.StatusForbidden,
	} {
		a := s.do(t, http.MethodPost, "/", login, "Origin", origin, "Sec-Fetch-Site", "cross-site")
		if a.status != want {
			t.Errorf("%s: status %d, want %d", origin, a.status, want)
		}
	}
}

// TestReturnToLeadsNowhereElse tries addresses that have led elsewhere before,
// from collections that others keep.
func TestReturnToLeadsNowhereElse(t *testing.T) {
	targets := redirectVectors(t)
	env := everything()
	env["END_SESSION_URL"] = ""
	s := newSite(t, env)
	for _, target := range targets {
		// No end of session is configured: the browser is sent to return_to.
		a := s.do(t, http.MethodPost, "/auth/logout?return_to="+url.QueryEscape(target), "", "Sec-Fetch-Mode", "navigate")
		staysHere(t, target, a.location())
		a = s.do(t, http.MethodGet, "/auth/login?return_to="+url.QueryEscape(target), "", "Sec-Fetch-Mode", "navigate")
		asked, err := url.Parse(a.location())
		if err != nil || a.status != http.StatusFound || !strings.HasPrefix(a.location(), s.provider.URL("/authorize?")) || asked.Query().Get("redirect_uri") != s.url+"/auth/callback" {
			t.Errorf("return_to %q: the login leads to %q", target, a.location())
		}
	}

	// What the sign-in keeps is the same; a few of all see it through.
	s = newSite(t, nil)
	for i := 0; i < len(targets); i += len(targets)/40 + 1 {
		callback, cookie := s.begin(t, targets[i])
		staysHere(t, targets[i], s.do(t, http.MethodGet, callback, cookie).location())
	}
}

// staysHere checks a Location by the rules of those who would read it, and not
// by those of net/url: a single slash, and nothing that could become another.
func staysHere(t *testing.T, target, location string) {
	t.Helper()
	decoded, err := url.PathUnescape(location)
	for _, l := range []string{location, decoded} {
		if err != nil || !strings.HasPrefix(l, "/") || strings.HasPrefix(l, "//") || strings.ContainsAny(l, "\\\t\r\n\x00") {
			t.Errorf("return_to %q leads to %q", target, location)
			return
		}
	}
}

// redirectVectors reads the lines of all files, or ends the test where there
// are none.
func redirectVectors(t *testing.T) []string {
	t.Helper()
	dir := os.Getenv("VECTORS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "vectors")
	}
	files, err := filepath.Glob(filepath.Join(dir, "openredirect", "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if line := lines.Text(); line != "" {
				all = append(all, line)
			}
		}
	}
	if len(all) == 0 {
		need.Missing(t, "no test vectors: set VECTORS to a folder with lists of such URLs in openredirect, *.txt, as those of github.com/oauth2-proxy/oauth2-proxy")
	}
	return all
}
