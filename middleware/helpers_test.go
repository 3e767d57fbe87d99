package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/tokenlife/tokenlife/internal/race"
	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/event"
)

// These tests run an Auth with a provider that rotates refresh tokens and
// detects their reuse, with a Verifier of its tokens, and with a browser.

const life = 60 * time.Second

// accessToken returns a token that checker accepts until issued+life. Its last
// part makes it long enough to be found in logs.
func accessToken(subject string, n int, issued time.Time) string {
	return fmt.Sprintf("%s~%d~%d~access-token-of-%s", subject, n, issued.UnixNano(), subject)
}

type checker struct {
	down   atomic.Bool
	leeway time.Duration
}

func (c *checker) Verify(_ context.Context, raw string) (*verify.Token, error) {
	parts := strings.Split(raw, "~")
	if c.down.Load() {
		return nil, errors.New("test: the keys are out of reach")
	}
	if len(parts) != 4 {
		return nil, fmt.Errorf("%w: test", verify.ErrInvalid)
	}
	nanos, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%w: test", verify.ErrInvalid)
	}
	issued := time.Unix(0, nanos)
	t := &verify.Token{
		Raw: raw, Issuer: "https://issuer.test", Subject: parts[0], Scopes: []string{"read", "write"},
		IssuedAt: issued, Expiry: issued.Add(life),
	}
	if !time.Now().Before(t.Expiry.Add(c.leeway)) {
		return t, fmt.Errorf("%w: test", verify.ErrExpired)
	}
	return t, nil
}

// A provider issues "<subject>~<n>~refresh-token" and accepts each once.
type provider struct {
	delay time.Duration // before it decides

	mu       sync.Mutex
	err      error  // what every call answers instead
	as       string // whose access tokens it gives, if not the user's
	pad      string // what makes its refresh tokens long
	current  map[string]int
	calls    int
	reuse    int
	revoked  []string
	revoking error
}

func (p *provider) issue(subject string, n int) refresh.Tokens {
	return refresh.Tokens{
		Access:  accessToken(subject, n, time.Now()),
		Refresh: fmt.Sprintf("%s~%d~refresh-token", subject, n),
	}
}

func (p *provider) login(subject string) refresh.Tokens {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current == nil {
		p.current = make(map[string]int)
	}
	p.current[subject] = 0
	return p.issue(subject, 0)
}

func (p *provider) Refresh(ctx context.Context, old refresh.Tokens) (refresh.Tokens, error) {
	p.mu.Lock()
	p.calls++
	delay := p.delay
	p.mu.Unlock()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return refresh.Tokens{}, ctx.Err()
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return refresh.Tokens{}, p.err
	}
	parts := strings.Split(old.Refresh, "~")
	n, err := strconv.Atoi(parts[1])
	if current, ok := p.current[parts[0]]; err != nil || !ok || current != n {
		p.reuse++
		delete(p.current, parts[0])
		return refresh.Tokens{}, fmt.Errorf("%w: test", refresh.ErrDenied)
	}
	p.current[parts[0]] = n + 1
	next := p.issue(parts[0], n+1)
	next.Refresh += p.pad
	if p.as != "" {
		next.Access = accessToken(p.as, n+1, time.Now())
	}
	return next, nil
}

func (p *provider) Revoke(_ context.Context, t refresh.Tokens) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.revoked = append(p.revoked, t.Refresh)
	subject, _, _ := strings.Cut(t.Refresh, "~")
	delete(p.current, subject)
	return p.revoking
}

func (p *provider) set(f func(p *provider)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(p)
}

func (p *provider) expect(t *testing.T, calls, reuse int) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.calls != calls || p.reuse != reuse {
		t.Errorf("the provider saw %d calls and %d reuses, want %d and %d", p.calls, p.reuse, calls, reuse)
	}
}

// A world is an Auth, the provider and the Verifier behind it, and its events.
type world struct {
	*middleware.Auth
	checker  *checker
	provider *provider

	mu     sync.Mutex
	events []event.Event
}

func newWorld(set ...func(*middleware.Auth)) *world {
	w := &world{checker: &checker{}, provider: &provider{}}
	w.Auth = &middleware.Auth{Verifier: w.checker, Refresher: w.provider}
	w.Observe = func(_ context.Context, e event.Event) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.events = append(w.events, e)
	}
	for _, f := range set {
		f(w.Auth)
	}
	return w
}

func (w *world) saw(kind event.Kind) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

// A browser stores cookies as browsers do, by name and Max-Age.
type browser struct {
	mu  sync.Mutex
	jar map[string]stored
}

type stored struct {
	value string
	until time.Time // zero: until the session ends
}

// signIn returns a browser that has just signed in as subject.
func (w *world) signIn(t *testing.T, subject string) *browser {
	t.Helper()
	b := &browser{jar: make(map[string]stored)}
	rec := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "https://app.test/login", nil)
	if err := w.SignIn(rec, r, w.provider.login(subject)); err != nil {
		t.Fatal(err)
	}
	b.store(rec.Result())
	return b
}

func (b *browser) store(res *http.Response) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range res.Cookies() {
		switch {
		case c.MaxAge < 0:
			delete(b.jar, c.Name)
		case c.MaxAge == 0:
			b.jar[c.Name] = stored{value: c.Value}
		default:
			b.jar[c.Name] = stored{c.Value, time.Now().Add(time.Duration(c.MaxAge) * time.Second)}
		}
	}
}

func (b *browser) get(name string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	c, ok := b.jar[name]
	if !ok || !c.until.IsZero() && !time.Now().Before(c.until) {
		return ""
	}
	return c.value
}

func (b *browser) request(method, path string) *http.Request {
	r := httptest.NewRequest(method, "https://app.test"+path, nil)
	for _, name := range []string{"__Host-accessToken", "__Host-refreshToken", "tokenLife"} {
		if v := b.get(name); v != "" {
			r.AddCookie(&http.Cookie{Name: name, Value: v})
		}
	}
	return r
}

// do sends a request as the browser and stores the cookies of the response.
func (b *browser) do(h http.Handler, method, path string, headers ...string) *http.Response {
	r := b.request(method, path)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res := serve(h, r)
	b.store(res)
	return res
}

func serve(h http.Handler, r *http.Request) *http.Response {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec.Result()
}

// whoami answers with the subject of the request's token.
var whoami = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	subject := "nobody"
	if t, ok := middleware.FromContext(r.Context()); ok {
		subject = t.Subject
	}
	fmt.Fprint(w, subject)
})

func body(t *testing.T, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func wantStatus(t *testing.T, res *http.Response, status int) {
	t.Helper()
	if res.StatusCode != status {
		t.Errorf("answered %d, want %d", res.StatusCode, status)
	}
}

func wantCookies(t *testing.T, res *http.Response, n int) {
	t.Helper()
	if got := len(res.Cookies()); got != n {
		t.Errorf("%d Set-Cookie lines, want %d: %q", got, n, names(res))
	}
}

func names(res *http.Response) (names []string) {
	for _, c := range res.Cookies() {
		names = append(names, c.Name)
	}
	return names
}
