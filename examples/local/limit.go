package main

import (
	"net"
	"net/http"
	"net/netip"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// A limiter bounds how often something may be tried under one name: burst times
// at once, and once more after each pause. It knows a bounded number of names;
// those not seen for longest are forgotten.
type limiter struct {
	pause time.Duration
	burst int
	names *lru.Cache[string, *rate.Limiter]
}

func newLimiter(pause time.Duration, burst int) (*limiter, error) {
	names, err := lru.New[string, *rate.Limiter](16384)
	return &limiter{pause, burst, names}, err
}

func (l *limiter) allow(name string) bool {
	fresh := rate.NewLimiter(rate.Every(l.pause), l.burst)
	if known, ok, _ := l.names.PeekOrAdd(name, fresh); ok {
		fresh = known
		l.names.Get(name) // it has been seen
	}
	return fresh.Allow()
}

// client names where a request comes from: the address, and with IPv6 the
// network, of which everybody has many addresses. Behind a proxy this is the
// proxy, which then has to limit by itself.
func client(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is6() {
		network, _ := ip.Prefix(64)
		return network.String()
	}
	return ip.String()
}
