package browser

import (
	"maps"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// jar keeps cookies as today's browsers do where net/http/cookiejar is older
// than they are: loopback is trustworthy, so that Secure cookies work there
// without TLS, and a name with a prefix must keep what the prefix promises
// (RFC 6265bis, sections 4.1.3 and 5.7).
type jar struct {
	inner *cookiejar.Jar

	mu   sync.Mutex
	seen map[string]map[string][]string // host → name → values
	same map[[2]string]http.SameSite    // by host and name
}

func newJar() *jar {
	inner, err := cookiejar.New(nil)
	if err != nil {
		panic(err) // it has no way to fail without options
	}
	return &jar{inner: inner, seen: map[string]map[string][]string{}, same: map[[2]string]http.SameSite{}}
}

// maxCookie is the size of name and value together from which browsers drop a
// cookie without a word.
const maxCookie = 4096

// SetCookies implements [http.CookieJar].
func (j *jar) SetCookies(u *url.URL, cookies []*http.Cookie) {
	u = trusted(u)
	kept := slices.DeleteFunc(slices.Clone(cookies), func(c *http.Cookie) bool { return !acceptable(u, c) })
	j.inner.SetCookies(u, kept)

	j.mu.Lock()
	defer j.mu.Unlock()
	host := j.seen[u.Hostname()]
	if host == nil {
		host = map[string][]string{}
		j.seen[u.Hostname()] = host
	}
	for _, c := range kept {
		j.same[[2]string{u.Hostname(), c.Name}] = c.SameSite
	}
	for _, c := range cookies {
		if c.Value != "" && !slices.Contains(host[c.Name], c.Value) {
			host[c.Name] = append(host[c.Name], c.Value)
		}
	}
}

// Cookies implements [http.CookieJar].
func (j *jar) Cookies(u *url.URL) []*http.Cookie { return j.inner.Cookies(trusted(u)) }

// sent returns the cookies that go with a request whose Sec-Fetch headers are set
// (RFC 6265bis, section 5.8.3). One without SameSite is Lax, as browsers have it
// by default; the two minutes that some give it at first are not here.
func (j *jar) sent(r *http.Request) []*http.Cookie {
	all := j.Cookies(r.URL)
	if r.Header.Get("Sec-Fetch-Site") != "cross-site" {
		return all
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	safe := r.Method == http.MethodGet || r.Method == http.MethodHead
	return slices.DeleteFunc(all, func(c *http.Cookie) bool {
		switch j.same[[2]string{r.URL.Hostname(), c.Name}] {
		case http.SameSiteNoneMode:
			return false
		case http.SameSiteStrictMode:
			return true
		}
		return !safe || r.Header.Get("Sec-Fetch-Mode") != "navigate"
	})
}

// seenAt returns every value that each cookie of a host ever had.
func (j *jar) seenAt(host string) map[string][]string {
	j.mu.Lock()
	defer j.mu.Unlock()
	seen := maps.Clone(j.seen[host])
	for name, values := range seen {
		seen[name] = slices.Clone(values)
	}
	return seen
}

// secrets returns every value that each cookie ever had, but for those that are
// no secret.
func (j *jar) secrets() map[string][]string {
	j.mu.Lock()
	defer j.mu.Unlock()
	secrets := map[string][]string{}
	for _, cookies := range j.seen {
		for name, values := range cookies {
			if name != "tokenLife" {
				secrets["cookie "+name] = append(secrets["cookie "+name], values...)
			}
		}
	}
	return secrets
}

// acceptable reports whether a browser keeps the cookie.
func acceptable(u *url.URL, c *http.Cookie) bool {
	secure := c.Secure && u.Scheme == "https"
	switch {
	case len(c.Name)+len(c.Value) > maxCookie:
		return false
	case c.Secure && !secure:
		return false
	case hasPrefixFold(c.Name, "__Host-"):
		return secure && c.Domain == "" && c.Path == "/"
	case hasPrefixFold(c.Name, "__Secure-"):
		return secure
	}
	return true
}

// trusted returns u as the jar inside is to see it: loopback counts as secure.
func trusted(u *url.URL) *url.URL {
	host := u.Hostname()
	ip := net.ParseIP(host)
	if u.Scheme == "http" && (host == "localhost" || ip != nil && ip.IsLoopback()) {
		secure := *u
		secure.Scheme = "https"
		return &secure
	}
	return u
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}
