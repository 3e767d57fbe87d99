package login_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/login"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/discovery"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
	"github.com/tokenlife/tokenlife/refresh/sessions"
)

// These tests sign in at a provider whose access tokens are no JWTs, with real
// connections: everything that a login meets until its end.

// A closingVerifier is an Introspection or a UserInfo.
type closingVerifier interface {
	middleware.Verifier
	Close() error
}

// An opaqueSite is a site whose users sign in at an opaqueProvider.
type opaqueSite struct {
	*httptest.Server
	provider *opaqueProvider
	auth     *middleware.Auth

	mu       sync.Mutex
	verifier closingVerifier
	renew    func() closingVerifier
}

// Verify has the current Verifier verify raw.
func (s *opaqueSite) Verify(ctx context.Context, raw string) (*verify.Token, error) {
	s.mu.Lock()
	v := s.verifier
	s.mu.Unlock()
	return v.Verify(ctx, raw)
}

// restart replaces the Verifier by one that remembers nothing, as that of
// another replica.
func (s *opaqueSite) restart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.verifier.Close()
	s.verifier = s.renew()
}

// byEachEndpoint runs f with a site for each kind of Verifier.
func byEachEndpoint(t *testing.T, remember time.Duration, f func(t *testing.T, s *opaqueSite), change ...func(*middleware.Auth)) {
	for name, verifier := range map[string]func(p *opaqueProvider, client *refresh.OAuth2) closingVerifier{
		"introspection": func(p *opaqueProvider, client *refresh.OAuth2) closingVerifier {
			return &verify.Introspection{Ask: client.Introspect, Issuer: p.Issuer, Clients: []string{"client"}, Remember: remember}
		},
		"userinfo": func(p *opaqueProvider, client *refresh.OAuth2) closingVerifier {
			return &verify.UserInfo{Ask: client.UserInfo, Issuer: p.Issuer, AnyClient: true, Remember: remember}
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newOpaqueProvider(t)
			client := &refresh.OAuth2{
				ClientID: "client", ClientSecret: "a secret of the client",
				Discovery:     &discovery.Provider{Issuer: p.Issuer},
				IntrospectURL: p.Issuer + "/introspect", UserInfoURL: p.Issuer + "/userinfo",
			}
			f(t, newOpaqueSite(t, p, client, func() closingVerifier { return verifier(p, client) }, change...))
		})
	}
}

func newOpaqueSite(t *testing.T, p *opaqueProvider, client *refresh.OAuth2, verifier func() closingVerifier, change ...func(*middleware.Auth)) *opaqueSite {
	s := &opaqueSite{provider: p, verifier: verifier(), renew: verifier}
	mux := http.NewServeMux()
	s.Server = httptest.NewServer(mux)
	s.auth = &middleware.Auth{Verifier: s, Refresher: client, LoginURL: "/login"}
	s.auth.Cookies.InsecureHTTP = true
	for _, c := range change {
		c(s.auth)
	}
	ids, err := verify.New(verify.Issuer{URL: p.Issuer, Keys: p.keys, Audience: []string{"client"}})
	if err != nil {
		t.Fatal(err)
	}
	flow := &login.Flow{Auth: s.auth, Client: client, RedirectURL: s.URL + "/callback", IDTokens: ids}
	mux.Handle("/login", flow.Start())
	mux.Handle("/callback", flow.Callback())
	mux.Handle("/refresh", s.auth.RefreshHandler())
	mux.Handle("/logout", s.auth.Logout(nil))
	mux.Handle("/", s.auth.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := middleware.FromContext(r.Context())
		fmt.Fprint(w, token.Subject)
	})))
	t.Cleanup(func() {
		s.Server.Close()
		err := errors.Join(flow.Close(), s.auth.Close(), s.verifier.Close(), ids.Close())
		if kept, ok := s.auth.Refresher.(*sessions.Sessions); ok {
			err = errors.Join(err, kept.Close())
		}
		if err != nil {
			t.Error(err)
		}
	})
	return s
}

// visitor returns a browser that has signed in.
func (s *opaqueSite) visitor(t *testing.T) *http.Client {
	t.Helper()
	b := &http.Client{Jar: newJar(t)}
	s.visit(t, b, "/login?return_to=/account", http.StatusOK, "alice")
	return b
}

// visit opens a page, and checks how it is answered.
func (s *opaqueSite) visit(t *testing.T, b *http.Client, path string, status int, body string) {
	t.Helper()
	r, _ := http.NewRequest(http.MethodGet, s.URL+path, nil)
	resp, err := b.Do(r)
	if err != nil {
		t.Error(err)
		return
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != status || body != "" && string(text) != body {
		t.Errorf("%s is answered with %d, %q", path, resp.StatusCode, text)
	}
}

// bearer sends raw in a header, and checks how it is answered.
func (s *opaqueSite) bearer(t *testing.T, raw string, status int) {
	t.Helper()
	r, _ := http.NewRequest(http.MethodGet, s.URL+"/", nil)
	r.Header.Set("Authorization", "Bearer "+raw)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Error(err)
		return
	}
	resp.Body.Close()
	if resp.StatusCode != status {
		t.Errorf("the bearer token is answered with %d, want %d", resp.StatusCode, status)
	}
}

// expire ends all access tokens, at the provider.
func (s *opaqueSite) expire() {
	s.provider.set(func() {
		for raw, token := range s.provider.access {
			token.end = time.Now()
			s.provider.access[raw] = token
		}
	})
}

// cookie returns the value of a cookie of b.
func (s *opaqueSite) cookie(b *http.Client, name string) string {
	at, _ := url.Parse(s.URL)
	for _, c := range b.Jar.Cookies(at) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

func TestALoginWithOpaqueTokensIsAskedAboutOnce(t *testing.T) {
	byEachEndpoint(t, 0, func(t *testing.T, s *opaqueSite) {
		b := s.visitor(t)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				s.visit(t, b, "/", http.StatusOK, "alice")
				s.bearer(t, s.cookie(b, "accessToken"), http.StatusOK)
				s.bearer(t, "made-up-by-a-stranger", http.StatusUnauthorized)
			})
		}
		wg.Wait()
		if n := s.provider.calls(); n != 2 {
			t.Errorf("the provider was asked %d times about two tokens", n)
		}
		if s.cookie(b, "tokenLife") == "" {
			t.Error("scripts are not told when the token expires")
		}
	})
}

func TestAnExpiryOfAnOpaqueTokenIsOneRefresh(t *testing.T) {
	for name, test := range map[string]struct {
		restart bool
		change  func(*middleware.Auth)
	}{
		"seen here before":                        {false, func(*middleware.Auth) {}},
		"new to this process":                     {true, func(*middleware.Auth) {}},
		"seen here before, kept on the server":    {false, onTheServer},
		"new to this process, kept on the server": {true, onTheServer},
	} {
		t.Run(name, func(t *testing.T) {
			byEachEndpoint(t, -1, func(t *testing.T, s *opaqueSite) {
				b := s.visitor(t)
				for expiry := range 3 {
					s.expire()
					if test.restart {
						s.restart()
					}
					s.bearer(t, s.cookie(b, "accessToken"), http.StatusUnauthorized)
					before, old := s.provider.Stats().Calls, s.cookie(b, "accessToken")
					var wg sync.WaitGroup
					for range 30 {
						wg.Go(func() { s.visit(t, b, "/", http.StatusOK, "alice") })
					}
					wg.Wait()
					if n := s.provider.Stats().Calls - before; n != 1 {
						t.Errorf("expiry %d: %d calls for new tokens, want 1", expiry, n)
					}
					if s.cookie(b, "accessToken") == old || s.cookie(b, "tokenLife") == "" {
						t.Error("the cookies are not new")
					}
				}
			}, test.change)
		})
	}
}

func TestASignOutEndsOneLoginOfOpaqueTokens(t *testing.T) {
	byEachEndpoint(t, 0, func(t *testing.T, s *opaqueSite) {
		leaves, stays := s.visitor(t), s.visitor(t)
		old := s.cookie(leaves, "accessToken")
		stolen := &http.Client{Jar: newJar(t)}
		at, _ := url.Parse(s.URL)
		stolen.Jar.SetCookies(at, leaves.Jar.Cookies(at))

		resp, err := leaves.PostForm(s.URL+"/logout", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		s.visit(t, stays, "/", http.StatusOK, "alice")
		s.bearer(t, s.cookie(stays, "accessToken"), http.StatusOK)
		s.bearer(t, old, http.StatusUnauthorized)
		stolen.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		s.visit(t, stolen, "/", http.StatusUnauthorized, "")
		if s.cookie(leaves, "refreshToken") != "" || s.provider.Stats().Revoked != 1 {
			t.Error("the login goes on")
		}
	}, revocable)
}

// onTheServer keeps the logins on the server, and gives the browser handles.
func onTheServer(a *middleware.Auth) {
	a.Refresher = &sessions.Sessions{Refresher: a.Refresher, Store: new(refresh.MemoryStore)}
}

func revocable(a *middleware.Auth) { a.Revocations = new(middleware.Revocations) }

func newJar(t *testing.T) http.CookieJar {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return jar
}

func TestASubjectSignedOutEverywhereCanSignInAnew(t *testing.T) {
	for name, test := range map[string]struct {
		restart bool
		change  func(*middleware.Auth)
	}{
		"in cookies":                        {false, func(*middleware.Auth) {}},
		"in cookies, at another replica":    {true, func(*middleware.Auth) {}},
		"on the server":                     {false, onTheServer},
		"on the server, at another replica": {true, onTheServer},
	} {
		t.Run(name, func(t *testing.T) {
			byEachEndpoint(t, -1, func(t *testing.T, s *opaqueSite) {
				before := s.visitor(t)
				old := s.cookie(before, "accessToken")
				err := s.auth.Revocations.RevokeSubject(t.Context(), s.provider.Issuer, "alice", time.Now().Add(time.Second))
				if err != nil {
					t.Fatal(err)
				}
				s.bearer(t, old, http.StatusUnauthorized)
				b := s.visitor(t)
				for range 3 {
					s.visit(t, b, "/", http.StatusOK, "alice")
					s.expire()
					if test.restart {
						s.restart()
					}
				}
				s.visit(t, b, "/", http.StatusOK, "alice")
				before.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
				s.visit(t, before, "/", http.StatusUnauthorized, "")
			}, test.change, revocable)
		})
	}
}

func TestAnOutageOfTheEndpointEndsNoLogin(t *testing.T) {
	down := func(s *opaqueSite, down bool) { s.provider.set(func() { s.provider.down = down }) }
	byEachEndpoint(t, 0, func(t *testing.T, s *opaqueSite) {
		b := s.visitor(t)
		for _, happens := range []func(){func() {}, func() { s.expire() }} {
			happens()
			down(s, true)
			s.visit(t, b, "/", http.StatusOK, "alice") // remembered
			s.restart()
			s.visit(t, b, "/", http.StatusServiceUnavailable, "")
			s.bearer(t, s.cookie(b, "accessToken"), http.StatusServiceUnavailable)
			down(s, false)
			s.visit(t, b, "/", http.StatusOK, "alice")
		}
		if n := s.provider.Stats().Refreshed; n != 1 {
			t.Errorf("%d refreshes, want 1", n)
		}
	})
}

func TestARefreshOfAnOpaqueTokenKeepsTheSubject(t *testing.T) {
	byEachEndpoint(t, -1, func(t *testing.T, s *opaqueSite) {
		b := s.visitor(t)
		b.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		s.expire()
		s.provider.Fail(refreshtest.OtherSubject, 1)
		s.visit(t, b, "/", http.StatusUnauthorized, "")
	})
}
