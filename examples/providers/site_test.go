package providers

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/cookies"
	"github.com/tokenlife/tokenlife/examples/internal/browser"
	"github.com/tokenlife/tokenlife/examples/internal/guard/leak"
	"github.com/tokenlife/tokenlife/examples/internal/program"
)

const cookieKey = "6f2c1e0b9a8d7c5e4f3021b6a7d8c9e0f1a2b3c4d5e6f708192a3b4c5d6e7f80"

// A site is a scenario's own: one gateway or more before an echo server, and
// how to talk to them.
type site struct {
	*place
	url    string // of the first gateway, and what browsers see
	client client
	user   string

	addresses []string
	upstream  *httptest.Server
	http      *http.Client // without cookies of its own
	gateways  []*program.Process

	mu       sync.Mutex
	browsers []*browser.Browser
	set      map[string][]string // cookies in answers to http
}

// site returns the site of a scenario, whose gateways are not started yet.
func (p *place) site(t *testing.T, of scenario) *site {
	t.Helper()
	s := &site{
		place: p, client: p.clients[of.name], user: of.id,
		addresses: p.at[of.name], set: map[string][]string{},
	}
	s.url = "http://" + s.addresses[0]
	s.upstream = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=60")
		_ = json.NewEncoder(w).Encode(r.Header)
	}))
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	s.http = &http.Client{Transport: transport, Timeout: 20 * time.Second}
	t.Cleanup(func() {
		s.upstream.Close()
		transport.CloseIdleConnections()
		for _, g := range s.gateways {
			s.staysSilent(t, g)
		}
	})
	return s
}

// start starts one gateway with these variables beside the usual ones.
func (s *site) start(t *testing.T, env ...string) {
	t.Helper()
	address := s.addresses[len(s.gateways)]
	s.gateways = append(s.gateways, program.Run(t, s.gateway, program.Env(append([]string{
		"LISTEN=" + address,
		"PUBLIC_URL=" + s.url,
		"UPSTREAM=" + s.upstream.URL,
		"ISSUER=" + s.front.issuer,
		"CLIENT_ID=" + s.client.ID,
		"CLIENT_SECRET=" + s.client.Secret,
		"AUDIENCE=" + s.provider.quirks.audience(s.client.ID),
		"SCOPES=openid offline_access",
		"COOKIE_KEYS=" + cookieKey,
		"LEEWAY=0s",
		"AHEAD=100ms",
		"LOG_LEVEL=debug",
	}, env...)...), "http://"+address+"/healthz"))
}

// signIn opens a page that needs a login, and returns the browser that is back
// on it after the provider's pages, and what the provider has granted.
func (s *site) signIn(t *testing.T) (*browser.Browser, *grant) {
	t.Helper()
	return s.signInAs(t, s.user)
}

func (s *site) signInAs(t *testing.T, user string) (*browser.Browser, *grant) {
	t.Helper()
	b := browser.New(t)
	s.mu.Lock()
	s.browsers = append(s.browsers, b)
	s.mu.Unlock()
	page := b.Login(t, s.url+"/notes?page=2", user)
	if page.Status != http.StatusOK || page.URL.String() != s.url+"/notes?page=2" {
		t.Fatalf("the login ends at %s%s with status %d: %s", page.URL.Host, page.URL.Path, page.Status, page.Text())
	}
	return b, s.front.grant(t, bearer(page.Body))
}

// fetch is a script's request in a browser, whose answer must have this status.
func (s *site) fetch(t *testing.T, b *browser.Browser, method, path string, status int) *browser.Page {
	t.Helper()
	page, err := b.Fetch(method, s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if page.Status != status {
		t.Fatalf("%s %s: status %d, want %d: %s", method, path, page.Status, status, page.Text())
	}
	return page
}

// An answer is what a request with given cookies came to.
type answer struct {
	status int
	header http.Header
	set    []*http.Cookie
	bearer string // the access token that the upstream got
	err    error
}

// marker returns the marker that the answer sets, if any.
func (a answer) marker() string {
	for _, c := range a.set {
		if c.Name == cookies.Life {
			return c.Value
		}
	}
	return ""
}

// call sends a request to a gateway with this Cookie header, whatever has been
// set since.
func (s *site) call(ctx context.Context, address, path, cookie string) answer {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return answer{err: err}
	}
	r.Header.Set("Cookie", cookie)
	r.Header.Set("Sec-Fetch-Mode", "cors")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	resp, err := s.http.Do(r)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	var body json.RawMessage
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		return answer{status: resp.StatusCode, err: err}
	}
	a := answer{status: resp.StatusCode, header: resp.Header, set: resp.Cookies(), bearer: bearer(body)}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range a.set {
		s.set[c.Name] = append(s.set[c.Name], c.Value)
	}
	return a
}

// bearer returns the access token in the echo of a request, provided that the
// request carried no cookies of the login.
func bearer(echo []byte) string {
	var h http.Header
	if json.Unmarshal(echo, &h) != nil {
		return ""
	}
	for _, name := range []string{cookies.Access, cookies.Refresh, cookies.ID, cookies.Life} {
		if strings.Contains(strings.Join(h["Cookie"], ";"), name) {
			return ""
		}
	}
	return strings.TrimPrefix(h.Get("Authorization"), "Bearer ")
}

func (s *site) cookieHeader(b *browser.Browser) string {
	var pairs []string
	for _, c := range b.Cookies(s.url + "/") {
		pairs = append(pairs, c.Name+"="+c.Value)
	}
	return strings.Join(pairs, "; ")
}

// marker returns the browser's marker, which must be there.
func (s *site) marker(t *testing.T, b *browser.Browser) string {
	t.Helper()
	value, ok := b.Cookie(s.url, cookies.Life)
	if !ok || value == "0" {
		t.Fatalf("there is no marker of a login: %q", value)
	}
	return value
}

// isSignedOut checks that nothing of a login is left in the browser.
func (s *site) isSignedOut(t *testing.T, b *browser.Browser) {
	t.Helper()
	for _, c := range b.Cookies(s.url) {
		if c.Name == cookies.Life && c.Value != "0" || strings.HasSuffix(c.Name, "Token") {
			t.Errorf("cookie %s is still there", c.Name)
		}
	}
}

// untilExpiry waits until the access token of the browser's login is over, and
// returns the cookies that it had until then. The marker is "" if it is over
// already.
func (s *site) untilExpiry(t *testing.T, b *browser.Browser) (cookie, marker string) {
	t.Helper()
	if _, ok := b.Cookie(s.url, "__Host-"+cookies.Refresh); !ok {
		t.Fatal("there is no login to wait for")
	}
	cookie = s.cookieHeader(b)
	marker, ok := b.Cookie(s.url, cookies.Life)
	if !ok {
		return cookie, ""
	}
	until(t, marker)
	return cookie, marker
}

// until waits until the time of a marker.
func until(t *testing.T, marker string) {
	t.Helper()
	seconds, _, _ := strings.Cut(marker, ".")
	unix, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		t.Fatalf("the marker does not begin with a time: %v", err)
	}
	wait := time.Until(time.Unix(unix, 0))
	if wait > accessLife+time.Second { // providers round to seconds
		t.Fatalf("the marker's time is %v from now, longer than a token lives", wait)
	}
	let(t, wait)
}

// let waits until some time has passed.
func let(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	}
}

// eventually asks until it is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	late := time.After(30 * time.Second)
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for !so() {
		select {
		case <-again.C:
		case <-late:
			t.Fatalf("%s: not within 30 s", what)
		}
	}
}

// staysSilent ends a gateway and looks for secrets in all that it wrote.
func (s *site) staysSilent(t *testing.T, g *program.Process) {
	t.Helper()
	output := g.Stop(t)
	if len(output) == 0 {
		t.Error("the gateway wrote nothing, at log level debug")
	}
	s.searchIn(t, output)
}

// searchIn looks for secrets in what a program of ours has written.
func (s *site) searchIn(t *testing.T, output []byte) {
	t.Helper()
	secrets := map[string][]string{
		"the client secret":         {s.client.Secret},
		"the cookie key":            {cookieKey},
		"a token, code or verifier": s.front.secrets(),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, values := range s.set {
		secrets["cookie "+name] = slices.Clone(values)
	}
	for _, b := range s.browsers {
		for name, values := range b.Seen(s.url) {
			secrets["cookie "+name] = append(secrets["cookie "+name], values...)
		}
	}
	delete(secrets, "cookie "+cookies.Life)
	for _, name := range leak.Find(t, output, secrets) {
		t.Errorf("the output contains %s, or 12 characters of it", name)
	}
}
