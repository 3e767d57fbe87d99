package login_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/login"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/discovery"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// These tests sign in at a provider whose access tokens are no JWTs, with real
// connections: everything that a login meets until its end.

// An opaqueProvider is a fake provider whose access tokens are random. It has an
// introspection and a UserInfo endpoint.
type opaqueProvider struct {
	*refreshtest.Provider
	key ed25519.PrivateKey // of ID tokens

	mu     sync.Mutex
	access map[string]issued
	asked  int
	down   bool // its APIs answer 502
}

// issued is what is known of an access token.
type issued struct {
	subject string
	at, end time.Time
	revoked bool
}

func newOpaqueProvider(t *testing.T) *opaqueProvider {
	p := &opaqueProvider{
		Provider: &refreshtest.Provider{ClientSecret: "a secret of the client"},
		access:   make(map[string]issued),
	}
	_, p.key, _ = ed25519.GenerateKey(nil)
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.Issuer = server.URL
	return p
}

func (p *opaqueProvider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/token":
		p.serveToken(w, r)
	case "/introspect", "/userinfo":
		p.serveToAPIs(w, r)
	default:
		p.Provider.ServeHTTP(w, r)
	}
}

// serveToken replaces the tokens of an answer: the access token, and the ID
// token, which has its hash.
func (p *opaqueProvider) serveToken(w http.ResponseWriter, r *http.Request) {
	rec := httptest.NewRecorder()
	p.Provider.ServeHTTP(rec, r)
	var answer map[string]any
	if rec.Code == http.StatusOK && json.Unmarshal(rec.Body.Bytes(), &answer) == nil {
		var claims struct {
			Subject string `json:"sub"`
		}
		_ = verify.UnverifiedClaims(answer["access_token"].(string), &claims)
		// Google's begin alike, and have a dot.
		raw := "ya29.a0" + rand.Text()
		p.mu.Lock()
		p.access[raw] = issued{subject: claims.Subject, at: time.Now(), end: time.Now().Add(5 * time.Minute)}
		p.mu.Unlock()
		answer["access_token"] = raw
		if id, ok := answer["id_token"].(string); ok {
			answer["id_token"] = p.idToken(id, raw)
		}
		body, _ := json.Marshal(answer)
		rec.Body = bytes.NewBuffer(body)
	}
	for name, values := range rec.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(rec.Code)
	_, _ = w.Write(rec.Body.Bytes())
}

// idToken returns id with the hash of access in it (OpenID Connect Core 1.0,
// section 3.1.3.6).
func (p *opaqueProvider) idToken(id, access string) string {
	claims := jwt.MapClaims{}
	_ = verify.UnverifiedClaims(id, &claims)
	sum := sha512.Sum512([]byte(access)) // that of Ed25519
	claims["at_hash"] = base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
	signed, err := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims).SignedString(p.key)
	if err != nil {
		panic(err)
	}
	return signed
}

// keys returns the key set with the key of ID tokens.
func (p *opaqueProvider) keys(context.Context) ([]byte, error) {
	x := base64.RawURLEncoding.EncodeToString(p.key.Public().(ed25519.PublicKey))
	return fmt.Appendf(nil, `{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":"one","x":%q}]}`, x), nil
}

func (p *opaqueProvider) serveToAPIs(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked++
	down := p.down
	raw, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if r.URL.Path == "/introspect" {
		raw = r.FormValue("token")
	}
	token, ok := p.access[raw]
	p.mu.Unlock()
	ok = ok && !token.revoked && time.Now().Before(token.end)
	answer := map[string]any{"active": false}
	switch {
	case down:
		w.WriteHeader(http.StatusBadGateway)
		return
	case r.URL.Path == "/userinfo" && !ok:
		w.WriteHeader(http.StatusUnauthorized)
		return
	case r.URL.Path == "/userinfo":
		answer = map[string]any{"sub": token.subject, "name": "Ann Example"}
	case ok:
		answer = map[string]any{
			"active": true, "iss": p.Issuer, "sub": token.subject, "client_id": "client", "scope": "openid",
			"token_type": "Bearer", "token_use": "access_token", "iat": token.at.Unix(), "exp": token.end.Unix(),
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

func (p *opaqueProvider) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

func (p *opaqueProvider) calls() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

// A statusError is an endpoint's answer with another status than 200.
type statusError int

func (e statusError) Error() string   { return fmt.Sprintf("test: status %d", int(e)) }
func (e statusError) StatusCode() int { return int(e) }

func send(r *http.Request) ([]byte, string, error) {
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, "", errors.New("test: no answer")
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, "", statusError(resp.StatusCode)
	}
	body, err := io.ReadAll(resp.Body)
	return body, resp.Header.Get("Content-Type"), err
}

func (p *opaqueProvider) introspect(ctx context.Context, token string) ([]byte, string, error) {
	form := strings.NewReader(url.Values{"token": {token}}.Encode())
	r, _ := http.NewRequestWithContext(ctx, http.MethodPost, p.Issuer+"/introspect", form)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return send(r)
}

func (p *opaqueProvider) userInfo(ctx context.Context, token string) ([]byte, string, error) {
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, p.Issuer+"/userinfo", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	return send(r)
}

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
	for name, verifier := range map[string]func(p *opaqueProvider) closingVerifier{
		"introspection": func(p *opaqueProvider) closingVerifier {
			return &verify.Introspection{Ask: p.introspect, Issuer: p.Issuer, Clients: []string{"client"}, Remember: remember}
		},
		"userinfo": func(p *opaqueProvider) closingVerifier {
			return &verify.UserInfo{Ask: p.userInfo, Issuer: p.Issuer, AnyClient: true, Remember: remember}
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newOpaqueProvider(t)
			f(t, newOpaqueSite(t, p, func() closingVerifier { return verifier(p) }, change...))
		})
	}
}

func newOpaqueSite(t *testing.T, p *opaqueProvider, verifier func() closingVerifier, change ...func(*middleware.Auth)) *opaqueSite {
	s := &opaqueSite{provider: p, verifier: verifier(), renew: verifier}
	mux := http.NewServeMux()
	s.Server = httptest.NewServer(mux)
	client := &refresh.OAuth2{
		ClientID: "client", ClientSecret: "a secret of the client",
		Discovery: &discovery.Provider{Issuer: p.Issuer},
	}
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
		if err := errors.Join(flow.Close(), s.auth.Close(), s.verifier.Close(), ids.Close()); err != nil {
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

// expire ends the access token of b, at the provider.
func (s *opaqueSite) expire(b *http.Client) {
	raw := s.cookie(b, "accessToken")
	s.provider.set(func() {
		token := s.provider.access[raw]
		token.end = time.Now()
		s.provider.access[raw] = token
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
	for how, ends := range map[string]func(s *opaqueSite, b *http.Client){
		"seen here before": func(s *opaqueSite, b *http.Client) { s.expire(b) },
		"new to this process": func(s *opaqueSite, b *http.Client) {
			s.expire(b)
			s.restart()
		},
	} {
		t.Run(how, func(t *testing.T) {
			byEachEndpoint(t, -1, func(t *testing.T, s *opaqueSite) {
				b := s.visitor(t)
				for expiry := range 3 {
					ends(s, b)
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
			})
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
	for _, restarts := range []bool{false, true} {
		t.Run(fmt.Sprintf("another replica %v", restarts), func(t *testing.T) {
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
					s.expire(b)
					if restarts {
						s.restart()
					}
				}
				s.visit(t, b, "/", http.StatusOK, "alice")
				before.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
				s.visit(t, before, "/", http.StatusUnauthorized, "")
			}, revocable)
		})
	}
}

func TestAnOutageOfTheEndpointEndsNoLogin(t *testing.T) {
	down := func(s *opaqueSite, down bool) { s.provider.set(func() { s.provider.down = down }) }
	byEachEndpoint(t, 0, func(t *testing.T, s *opaqueSite) {
		b := s.visitor(t)
		for _, happens := range []func(){func() {}, func() { s.expire(b) }} {
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
		s.expire(b)
		s.provider.Fail(refreshtest.OtherSubject, 1)
		s.visit(t, b, "/", http.StatusUnauthorized, "")
	})
}
