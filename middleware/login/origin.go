package login

import (
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// atOrigin is the parameter of a request to Start that has been redirected to
// the origin of RedirectURL.
const atOrigin = "at_origin"

// startElsewhere returns the URL of Start at the origin of RedirectURL, if r has
// come to another host: "localhost" and "127.0.0.1", or "www.shop.example" and
// "shop.example". The browser would send the attempt's cookie to that host
// alone, and not to the callback. Ports do not matter to cookies.
//
// A proxy may forward requests with a host of its own, which the browser has
// never seen. So a request is redirected only if the two hosts are akin, and
// once.
func (f *Flow) startElsewhere(r *http.Request) (string, bool) {
	want, got := hostname(f.callback.Host), hostname(r.Host)
	switch q := r.URL.Query(); {
	case q.Has(atOrigin), want == got, !akin(want, got):
		return "", false
	case f.inDomain(want) && f.inDomain(got):
		return "", false // the cookie belongs to both
	case hostname(forwardedHost(r.Header)) == want:
		return "", false
	default:
		q.Set(atOrigin, "1")
		to := url.URL{Scheme: f.callback.Scheme, Host: f.callback.Host, Path: r.URL.Path, RawQuery: q.Encode()}
		// A proxy may also have taken off the beginning of the path.
		if u, err := url.Parse(f.Auth.LoginURL); err == nil && strings.HasSuffix(u.Path, r.URL.Path) {
			to.Path = u.Path
		}
		return to.String(), true
	}
}

// startedAt returns the origin to return to after a sign-in that begins with r;
// empty: that of RedirectURL. It is another one only if the cookies belong to
// all hosts of a domain.
func (f *Flow) startedAt(r *http.Request) string {
	host := forwardedHost(r.Header)
	if host == "" {
		host = r.Host
	}
	u, err := url.Parse(f.callback.Scheme + "://" + host)
	if err != nil || u.Host != host || u.Port() != f.callback.Port() || !f.inDomain(hostname(host)) ||
		hostname(host) == hostname(f.callback.Host) {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// inDomain reports whether the cookies of the Policy belong to host.
func (f *Flow) inDomain(host string) bool {
	domain := strings.ToLower(strings.TrimPrefix(f.Auth.Cookies.Domain, "."))
	return domain != "" && (host == domain || strings.HasSuffix(host, "."+domain))
}

// hostname returns a host in lower case and without its port.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}

// akin reports whether a browser can be thought to know a site by both names:
// this machine's, or two of one domain.
func akin(a, b string) bool {
	if isLoopback(a) || isLoopback(b) {
		return isLoopback(a) && isLoopback(b)
	}
	domain := lastTwo(a)
	return domain != "" && domain == lastTwo(b)
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback() || host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// lastTwo returns the last two labels of a domain name; empty: it has fewer, or
// is an address.
func lastTwo(host string) string {
	if _, err := netip.ParseAddr(host); err == nil {
		return ""
	}
	labels := strings.Split(host, ".")
	if len(labels) < 2 {
		return ""
	}
	return strings.Join(labels[len(labels)-2:], ".")
}

// forwardedHost returns the host that the first proxy says it was asked for:
// Forwarded (RFC 7239), or X-Forwarded-Host. Whoever sends a request can write
// it, so it must not decide to which site the browser is sent.
func forwardedHost(h http.Header) string {
	first, _, _ := strings.Cut(h.Get("Forwarded"), ",")
	// An element has the form of the parameters of a media type.
	if _, p, err := mime.ParseMediaType("x/x; " + first); err == nil && p["host"] != "" {
		return p["host"]
	}
	first, _, _ = strings.Cut(h.Get("X-Forwarded-Host"), ",")
	return strings.TrimSpace(first)
}
