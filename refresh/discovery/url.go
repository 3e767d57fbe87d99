package discovery

import (
	"errors"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// ParseURL parses a URL that a token, a code or a browser is sent to, or that
// keys are fetched from. It is the one rule for such URLs in this module.
//
// The URL must be absolute, and https (RFC 6749, sections 3.1 and 3.2), or http
// where the host is this machine, as with tests and development servers: an
// address such as 127.0.0.1 or ::1, localhost, or a name below localhost. It
// has neither a user name nor a fragment, and no backslash, which browsers read
// as a slash. Its port, where it has one, is between 1 and 65535.
//
// The error follows the name of what holds the URL, as in "Issuer must be
// https". It repeats nothing of raw, which may contain a password by mistake.
func ParseURL(raw string) (*url.URL, error) {
	u, err := ParseInsecureURL(raw)
	if err == nil && u.Scheme == "http" && !isLoopback(u.Hostname()) {
		return nil, errors.New("must be https; http is for loopback hosts only")
	}
	return u, err
}

// ParseInsecureURL is [ParseURL], but accepts http for every host. It is for a
// development site on a local network, and for a server behind a proxy.
func ParseInsecureURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case strings.Contains(raw, `\`):
		return nil, errors.New("contains a backslash")
	case err != nil || u.Hostname() == "":
		return nil, errors.New("is not an absolute URL such as https://login.example.com/")
	case u.User != nil:
		return nil, errors.New("contains a user name or password")
	case strings.Contains(raw, "#"):
		return nil, errors.New("contains a fragment")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("must be https")
	case !isPort(u.Port()):
		return nil, errors.New("has a port that is not between 1 and 65535")
	}
	return u, nil
}

// isPort reports whether a URL can have this port. Empty is the default one.
func isPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil && n > 0
}

// isLoopback reports whether a host, without its port, can only be this
// machine.
func isLoopback(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().IsLoopback()
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost") // RFC 6761, section 6.3
}
