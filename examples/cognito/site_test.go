package main

import (
	"bytes"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/cookies"
	_ "github.com/tokenlife/tokenlife/internal/race"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

const (
	origin = "https://shop.example" // nothing listens there
	domain = "https://shop.auth.eu-test-1.amazoncognito.com"
	secret = "the-secret-of-the-app-client"

	getTokens = "GetTokensFromRefreshToken"
)

// newPool is a user pool with rotation on, as the README has it.
func newPool() *refreshtest.Cognito {
	return &refreshtest.Cognito{
		ClientSecret: secret,
		Rotation:     true,
		Grace:        10 * time.Second,
		Groups:       map[string][]string{"alice": {"admins"}},
		CallbackURLs: []string{origin + callbackPath},
		LogoutURLs:   []string{origin + "/"},
	}
}

// A user is somebody with a browser at a site whose users are pool's. It calls
// the site and the pool directly, so that time can be the bubble's.
type user struct {
	t    *testing.T
	pool *refreshtest.Cognito
	site *site
	jar  http.CookieJar
}

func newUser(t *testing.T, pool *refreshtest.Cognito, change func(*config)) *user {
	t.Helper()
	keys, err := cookies.NewKeyRing(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	c := config{
		publicURL: origin, poolID: "eu-test-1_Pool", clientID: "client", secret: secret, domain: domain,
		group: "admins", password: true, keys: keys, client: pool.Client(),
	}
	if change != nil {
		change(&c)
	}
	u := &user{t: t, pool: pool}
	if u.site, err = newSite(c); err != nil {
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

// An answer is a page, with where it came from after redirects.
type answer struct {
	status int
	at     *url.URL
	body   string
	header http.Header
}

// open follows a link or sends a form, and the redirects after it, over the site
// and the hosted pages.
func (u *user) open(method, path string, form url.Values) answer {
	u.t.Helper()
	at, err := url.Parse(origin + path)
	if err != nil {
		u.t.Fatal(err)
	}
	for range 10 {
		r := httptest.NewRequest(method, at.String(), strings.NewReader(form.Encode()))
		r.Header.Set("Sec-Fetch-Mode", "navigate")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		r.Header.Set("Accept", "text/html")
		if form != nil {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		var h http.Handler = u.pool
		if at.Host == "shop.example" {
			h = u.site
			for _, c := range u.jar.Cookies(at) {
				r.AddCookie(c)
			}
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if h == u.site {
			u.jar.SetCookies(at, w.Result().Cookies())
		}
		to := w.Header().Get("Location")
		if w.Code < 300 || w.Code > 399 || to == "" {
			return answer{w.Code, at, w.Body.String(), w.Header()}
		}
		if at, err = at.Parse(to); err != nil {
			u.t.Fatal(err)
		}
		method, form = http.MethodGet, nil
	}
	u.t.Fatal("the redirects do not end")
	return answer{}
}

func (u *user) password(name, password string) answer {
	u.t.Helper()
	return u.open("POST", "/auth/password", url.Values{"name": {name}, "password": {password}})
}

// want opens a page and expects the user there, or nobody where that is empty.
func (u *user) want(path, path2 string, status int, user string) answer {
	u.t.Helper()
	a := u.open("GET", path, nil)
	shown := strings.Contains(a.body, `<strong id="user">`)
	if a.status != status || a.at.Path != path2 || shown != (user != "") || !strings.Contains(a.body, user) {
		u.t.Errorf("%s: %d at %s, signed in: %t; want %d at %s with %q\n%s", path, a.status, a.at, shown, status, path2, user, a.body)
	}
	return a
}

func (u *user) calls() map[string]int { return maps.Clone(u.pool.Stats().Calls) }

func TestAUserSignsInOnTheHostedPage(t *testing.T) {
	for name, secret := range map[string]string{"with a secret": secret, "at a public app client": ""} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { hostedPage(t, secret) }) })
	}
}

func hostedPage(t *testing.T, secret string) {
	pool := newPool()
	pool.ClientSecret = secret
	u := newUser(t, pool, func(c *config) { c.secret = secret })
	u.want("/", "/", 200, "")
	// Who wants a page and is nobody comes back to it.
	a := u.want("/admin", "/admin", 200, "sub-alice")
	if !strings.Contains(a.body, "admins") {
		t.Errorf("the groups are not shown: %s", a.body)
	}
	if u.calls()["/oauth2/authorize"] != 1 || u.calls()["/oauth2/token"] != 1 {
		t.Errorf("calls %v", u.calls())
	}

	// For an hour of access tokens of 5 minutes: one call each.
	for range 12 {
		time.Sleep(5 * time.Minute)
		u.want("/account", "/account", 200, "sub-alice")
	}
	if s := u.pool.Stats(); s.Calls[getTokens] != 12 || s.Calls["InitiateAuth"] != 0 || s.Reused != 0 {
		t.Errorf("calls %v, %d reuses; want 12 refreshes", s.Calls, s.Reused)
	}

	a = u.open("POST", "/auth/logout", nil)
	if a.status != 200 || a.at.String() != origin+"/" || strings.Contains(a.body, "sub-alice") {
		t.Errorf("signing out: %d at %s", a.status, a.at)
	}
	if s := u.pool.Stats(); s.Revoked != 1 || s.Calls["RevokeToken"] != 1 || s.Calls["/logout"] != 1 {
		t.Errorf("after signing out: %+v", s)
	}
	for _, c := range u.jar.Cookies(&url.URL{Scheme: "https", Host: "shop.example", Path: "/"}) {
		if c.Name != cookies.Life {
			t.Errorf("the cookie %s is left", c.Name)
		}
	}
}

func TestAUserSignsInWithAPassword(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUser(t, newPool(), nil)
		for name, a := range map[string]answer{
			"a wrong password": u.password("bob@example.com", "wrong-password"),
			"no password":      u.password("bob@example.com", ""),
			"nobody":           u.password("", "password"),
		} {
			if a.status != http.StatusUnauthorized || strings.Contains(a.body, "wrong-password") || len(u.jar.Cookies(a.at)) > 0 {
				t.Errorf("%s: %d\n%s", name, a.status, a.body)
			}
		}
		if a := u.password("bob@example.com", "password"); a.status != 200 || a.at.Path != "/account" || !strings.Contains(a.body, "sub-bob") {
			t.Fatalf("signing in: %d at %s", a.status, a.at)
		}
		a := u.open("GET", "/admin", nil)
		if a.status != http.StatusForbidden || !strings.Contains(a.header.Get("WWW-Authenticate"), `error="insufficient_scope"`) {
			t.Errorf("a page for a group that he is not in: %d %v", a.status, a.header)
		}
		time.Sleep(5 * time.Minute)
		u.want("/account", "/account", 200, "sub-bob")
		if n := u.calls()[getTokens]; n != 1 {
			t.Errorf("%d refreshes, want 1", n)
		}
	})
}

func TestWhatIsRefused(t *testing.T) {
	u := newUser(t, newPool(), nil)
	form := url.Values{"name": {"alice"}, "password": {"password"}}.Encode()
	tokens := u.pool.Login("alice")
	for _, tt := range []struct {
		name, method, path, body string
		header                   http.Header
		status                   int
	}{
		{"an access token", "GET", "/account", "", http.Header{"Authorization": {"Bearer " + tokens.Access}}, 200},
		{"an ID token in its place", "GET", "/account", "", http.Header{"Authorization": {"Bearer " + tokens.ID}}, 401},
		{"a sign-in that another site has sent", "POST", "/auth/password", form, http.Header{"Sec-Fetch-Site": {"cross-site"}}, 403},
		{"a sign-out that another site has sent", "POST", "/auth/logout", "", http.Header{"Sec-Fetch-Site": {"cross-site"}}, 403},
		{"a form too long to be one", "POST", "/auth/password", form + strings.Repeat("x", 8<<10), http.Header{"Sec-Fetch-Site": {"same-origin"}}, 401},
	} {
		r := httptest.NewRequest(tt.method, origin+tt.path, strings.NewReader(tt.body))
		r.Header = tt.header
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		u.site.ServeHTTP(w, r)
		if w.Code != tt.status {
			t.Errorf("%s: %d, want %d", tt.name, w.Code, tt.status)
		}
	}
}

func TestASecondFactorIsForTheHostedPage(t *testing.T) {
	pool := newPool()
	pool.Challenge = "SOFTWARE_TOKEN_MFA"
	u := newUser(t, pool, nil)
	if a := u.password("alice", "password"); a.status != http.StatusUnauthorized || !strings.Contains(a.body, "second factors") {
		t.Errorf("%d\n%s", a.status, a.body)
	}
	u.want("/account", "/account", 200, "sub-alice")
}

func TestWithoutThePasswordFormThereIsNone(t *testing.T) {
	u := newUser(t, newPool(), func(c *config) { c.password = false })
	if a := u.want("/", "/", 200, ""); strings.Contains(a.body, "password") {
		t.Errorf("the page has a form for it:\n%s", a.body)
	}
	if a := u.password("alice", "password"); a.status != http.StatusNotFound && a.status != http.StatusMethodNotAllowed {
		t.Errorf("the form is answered with %d", a.status)
	}
}

func TestManyRequestsAreOneRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := newPool()
		pool.Grace = 0
		u := newUser(t, pool, nil)
		u.password("alice", "password")
		pool.SetDelay(30 * time.Millisecond)
		time.Sleep(5 * time.Minute)
		home := &url.URL{Scheme: "https", Host: "shop.example", Path: "/"}
		var tabs sync.WaitGroup
		for range 50 {
			tabs.Go(func() {
				r := httptest.NewRequest("GET", origin+"/account", nil)
				for _, c := range u.jar.Cookies(home) {
					r.AddCookie(c)
				}
				w := httptest.NewRecorder()
				u.site.ServeHTTP(w, r)
				if w.Code != 200 || len(w.Result().Cookies()) == 0 {
					t.Errorf("an answer of %d with %d cookies", w.Code, len(w.Result().Cookies()))
				}
			})
		}
		tabs.Wait()
		if s := pool.Stats(); s.Calls[getTokens] != 1 || s.Reused != 0 {
			t.Errorf("calls %v, %d reuses; want one refresh", s.Calls, s.Reused)
		}
	})
}

func TestOnlyThePoolEndsALogin(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(u *user)
		over  bool
	}{
		{"the user is disabled", func(u *user) { u.pool.End("alice") }, true},
		{"the token is refused", func(u *user) { u.pool.Fail(refreshtest.Refuse, -1) }, true},
		{"an overload", func(u *user) { u.pool.Fail(refreshtest.Overloaded, -1) }, false},
		{"an error of the pool", func(u *user) { u.pool.Fail(refreshtest.ServerError, -1) }, false},
		{"a wrong client secret", func(u *user) { u.pool.Fail(refreshtest.InvalidClient, -1) }, false},
		{"nobody answers", func(u *user) { u.pool.Fail(refreshtest.Reset, -1) }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := newUser(t, newPool(), nil)
				if a := u.password("alice", "password"); a.status != 200 {
					t.Fatalf("signing in: %d", a.status)
				}
				tt.spoil(u)
				time.Sleep(6 * time.Minute)
				a := u.open("POST", "/auth/refresh", nil)
				if tt.over {
					if a.status != http.StatusUnauthorized {
						t.Errorf("a refresh: %d, want 401", a.status)
					}
					u.want("/", "/", 200, "")
					return
				}
				if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
					t.Errorf("a refresh: %d, want 503 with Retry-After", a.status)
				}
				u.pool.Fail(refreshtest.None, 0)
				time.Sleep(time.Minute)
				u.want("/account", "/account", 200, "sub-alice")
			})
		})
	}
}

func TestALostAnswerIsMadeUpForWithinTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUser(t, newPool(), nil)
		u.password("alice", "password")
		time.Sleep(5 * time.Minute)
		u.pool.Fail(refreshtest.LostAnswer, 1)
		u.open("POST", "/auth/refresh", nil)
		time.Sleep(5 * time.Second)
		u.want("/account", "/account", 200, "sub-alice")
	})
}

func TestTheConfigurationNamesItsMistakes(t *testing.T) {
	whole := map[string]string{"USER_POOL_ID": "eu-central-1_Abc", "CLIENT_ID": "c", "DOMAIN": domain}
	for _, tt := range []struct{ name, variable, value, want string }{
		{"whole", "", "", ""},
		{"no pool", "USER_POOL_ID", "", "USER_POOL_ID"},
		{"a pool without its region", "USER_POOL_ID", "Abc", "USER_POOL_ID"},
		{"no app client", "CLIENT_ID", "", "CLIENT_ID"},
		{"no domain", "DOMAIN", "", "DOMAIN"},
		{"a public URL with a path", "PUBLIC_URL", "https://shop.example/app", "PUBLIC_URL"},
		{"a short key", "COOKIE_KEY", "00ff", "COOKIE_KEY"},
		{"a key that is not one", "COOKIE_KEY", strings.Repeat("x", 64), "COOKIE_KEY"},
		{"a key", "COOKIE_KEY", strings.Repeat("07", 32), ""},
	} {
		env := maps.Clone(whole)
		env[tt.variable] = tt.value
		_, err := readConfig(func(name string) string { return env[name] }, false)
		if (err == nil) != (tt.want == "") || err != nil && (!strings.Contains(err.Error(), tt.want) ||
			strings.Contains(err.Error(), "\n") || tt.value != "" && strings.Contains(err.Error(), tt.value)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	for name, change := range map[string]func(*config){
		"a domain in the clear":      func(c *config) { c.domain = "http://shop.example" },
		"a public URL in the clear":  func(c *config) { c.publicURL = "http://shop.example" },
		"a region that is no region": func(c *config) { c.poolID = "evil.example/_x" },
	} {
		c := config{publicURL: origin, poolID: "eu-test-1_Pool", clientID: "c", domain: domain, group: "g"}
		change(&c)
		if s, err := newSite(c); err == nil {
			s.Close()
			t.Errorf("%s: no error", name)
		}
	}
}
