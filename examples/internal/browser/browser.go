// Package browser is a small browser for tests: it keeps cookies, follows
// redirects, sends the headers that browsers send about where a request comes
// from, and fills in the login pages of the test provider.
//
// It keeps the rules of SameSite, and runs no scripts.
package browser

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/examples/internal/guard/leak"
)

// A Browser is one user's browser. Its methods may be called from several
// goroutines at once, as tabs would, except for those that end the test on an
// error: like [testing.T.Fatal] they belong to the test's own goroutine.
type Browser struct {
	jar       *jar
	transport *http.Transport
}

// New returns a browser without cookies that ends with the test.
func New(t testing.TB) *Browser {
	b := &Browser{jar: newJar(), transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	t.Cleanup(b.transport.CloseIdleConnections)
	t.Cleanup(func() { leak.Secrets(t, b.jar.secrets()) })
	return b
}

// A Page is an answer, read to its end.
type Page struct {
	URL    *url.URL // after redirects
	Status int
	Header http.Header
	Body   []byte
}

const (
	maxRedirects = 20
	maxBody      = 4 << 20
	pageTimeout  = 30 * time.Second // one page with its redirects, however busy the machine
)

// Open opens an address as if it were typed: a navigation that no page caused.
func (b *Browser) Open(t testing.TB, address string) *Page {
	t.Helper()
	r := request(t, http.MethodGet, address, nil)
	return b.must(t, r, visit{mode: "navigate"})
}

// Submit posts a form as the page at from would: a navigation that page caused.
func (b *Browser) Submit(t testing.TB, from *Page, action string, form url.Values) *Page {
	t.Helper()
	to, err := from.URL.Parse(action)
	if err != nil {
		t.Fatal(err)
	}
	r := request(t, http.MethodPost, to.String(), form)
	return b.must(t, r, visit{mode: "navigate", from: from.URL})
}

// Fetch sends a request as a script on its own origin would. Unlike the other
// methods it may be called from any goroutine, and reports its errors.
func (b *Browser) Fetch(method, address string, form url.Values) (*Page, error) {
	r, err := newRequest(method, address, form)
	if err != nil {
		return nil, err
	}
	return b.do(r, visit{mode: "cors", from: r.URL})
}

// Cookie returns the value of the cookie that would be sent to address by this
// name, and whether there is one.
func (b *Browser) Cookie(address, name string) (string, bool) {
	for _, c := range b.Cookies(address) {
		if c.Name == name {
			return c.Value, true
		}
	}
	return "", false
}

// Cookies returns the cookies that would be sent to address.
func (b *Browser) Cookies(address string) []*http.Cookie {
	u, err := url.Parse(address)
	if err != nil {
		return nil
	}
	return b.jar.Cookies(u)
}

// Seen returns the value of every cookie that was ever set for the host of
// address, also of those that are gone.
func (b *Browser) Seen(address string) map[string][]string {
	u, err := url.Parse(address)
	if err != nil {
		return nil
	}
	return b.jar.seenAt(u.Hostname())
}

// visit is what a request tells of its circumstances.
type visit struct {
	mode string   // Sec-Fetch-Mode
	from *url.URL // the page that caused it; nil for a typed address
}

// must is do for callers that cannot go on after an error.
func (b *Browser) must(t testing.TB, r *http.Request, v visit) *Page {
	t.Helper()
	page, err := b.do(r, v)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

// do sends r and follows its redirects, one request at a time: each has its own
// cookies and Sec-Fetch headers, which an http.Client would not renew.
func (b *Browser) do(r *http.Request, v visit) (*Page, error) {
	chain := []*url.URL{r.URL}
	for range maxRedirects {
		v.describe(r, chain)
		page, err := b.send(r)
		if err != nil {
			return nil, err
		}
		location := page.Header.Get("Location")
		if location == "" || page.Status < 300 || page.Status > 399 {
			return page, nil
		}
		to, err := page.URL.Parse(location)
		if err != nil {
			return nil, fmt.Errorf("browser: a redirect from %s leads nowhere", page.URL.Host)
		}
		if page.Status == http.StatusTemporaryRedirect || page.Status == http.StatusPermanentRedirect {
			return nil, fmt.Errorf("browser: a redirect with status %d is not followed", page.Status)
		}
		if r, err = newRequest(http.MethodGet, to.String(), nil); err != nil {
			return nil, err
		}
		chain = append(chain, to)
	}
	return nil, fmt.Errorf("browser: more than %d redirects from %s", maxRedirects, chain[0].Host)
}

// send is one request and its whole answer.
func (b *Browser) send(r *http.Request) (*Page, error) {
	client := http.Client{
		Transport:     b.transport,
		Timeout:       pageTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	for _, c := range b.jar.sent(r) {
		r.AddCookie(c)
	}
	resp, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b.jar.SetCookies(r.URL, resp.Cookies())
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return nil, err
	}
	return &Page{URL: r.URL, Status: resp.StatusCode, Header: resp.Header, Body: body}, nil
}

// describe sets the headers of the Fetch Metadata and Origin rules. A request
// is as foreign as the most foreign address that it was redirected over.
func (v visit) describe(r *http.Request, chain []*url.URL) {
	h := r.Header
	h.Set("Sec-Fetch-Mode", v.mode)
	if v.mode == "navigate" {
		h.Set("Sec-Fetch-Dest", "document")
		h.Set("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
	} else {
		h.Set("Sec-Fetch-Dest", "empty")
		h.Set("Accept", "*/*")
	}
	if v.from == nil {
		h.Set("Sec-Fetch-User", "?1")
		h.Set("Sec-Fetch-Site", "none")
		return
	}
	site := "same-origin"
	for _, u := range chain {
		switch {
		case u.Scheme == v.from.Scheme && u.Host == v.from.Host:
		case u.Scheme == v.from.Scheme && u.Hostname() == v.from.Hostname():
			if site == "same-origin" {
				site = "same-site"
			}
		default:
			site = "cross-site"
		}
	}
	h.Set("Sec-Fetch-Site", site)
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Origin", v.from.Scheme+"://"+v.from.Host)
	}
}

// request is newRequest for callers that cannot go on after an error.
func request(t testing.TB, method, address string, form url.Values) *http.Request {
	t.Helper()
	r, err := newRequest(method, address, form)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func newRequest(method, address string, form url.Values) (*http.Request, error) {
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequest(method, address, body)
	if err != nil {
		return nil, err
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return r, nil
}

// Text returns the start of the page's body, for a test's message.
func (p *Page) Text() string {
	const most = 300
	text := bytes.TrimSpace(p.Body)
	return string(text[:min(len(text), most)])
}
