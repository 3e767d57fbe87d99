package endpoint

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
)

// Check reports why raw cannot be trusted with a token, as words that follow
// the name of what holds the URL. It repeats nothing of raw, which may carry a
// password that somebody put there by mistake.
//
// The scheme is https (RFC 6749, section 3.2), or http where the host is this
// machine, which is what tests and development servers use.
func Check(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return errors.New("is not an absolute URL")
	case u.User != nil:
		return errors.New("contains a user name or password")
	case u.Fragment != "" || strings.Contains(raw, "#"):
		return errors.New("contains a fragment")
	case u.Scheme == "https" || u.Scheme == "http" && Loopback(u.Hostname()):
		return nil
	case u.Scheme == "http":
		return errors.New("must be https; http is for loopback hosts only")
	}
	return errors.New("must be https")
}

// Loopback reports whether host, without a port, can only be this machine.
func Loopback(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().IsLoopback()
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
