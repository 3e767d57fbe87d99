package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
)

// proxy returns the way to the upstream, for requests that have been let
// through. Answers that stream are passed on as they come, and connections that
// change their protocol (WebSocket) are joined.
func (g *gateway) proxy() http.Handler {
	c := g.config
	public, _ := url.Parse(c.publicURL) // it has been made from a URL
	return &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			// The Host of the request stays what the browser asked for.
			p.Out.URL.Scheme, p.Out.URL.Host = c.upstream.Scheme, c.upstream.Host
			p.Out.URL.RawQuery = p.In.URL.RawQuery // as sent: nothing is decided on it here
			dropClaims(p.Out.Header)
			keepToken(p)
			if !strings.EqualFold(p.Out.Header.Get("Upgrade"), "websocket") {
				// In another protocol, as h2c, further requests could follow on
				// the same connection, and nobody would check them.
				for _, name := range []string{"Upgrade", "Connection", "Http2-Settings"} {
					p.Out.Header.Del(name)
				}
			}
			p.SetXForwarded()
			p.Out.Header.Set("X-Forwarded-Proto", public.Scheme)
			if !c.keepCookies {
				g.auth.Cookies.Strip(p.Out.Header)
				g.flow.Strip(p.Out.Header)
			}
		},
		Transport:  g.transport,
		BufferPool: new(buffers),
		ErrorLog:   slog.NewLogLogger(g.log.Handler(), slog.LevelDebug),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
				g.log.DebugContext(r.Context(), "the client has left")
			} else {
				g.log.WarnContext(r.Context(), "the upstream cannot be reached", "error", err.Error())
			}
			problem(w, http.StatusBadGateway)
		},
	}
}

// buffers are what answers are copied through. One for each answer would be most
// of the memory that a request takes.
type buffers struct{ pool sync.Pool }

type buffer [32 << 10]byte

func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*buffer); ok {
		return p[:]
	}
	return new(buffer)[:]
}

func (b *buffers) Put(p []byte) { b.pool.Put((*buffer)(p)) }

func newTransport() *http.Transport {
	return &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second,
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 256,
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true, // what was compressed, and how, is between the two ends
	}
}

// keepToken puts back the token of a login where the client's Connection header
// names Authorization: the header is ours, and the client has no say in whether
// the upstream learns who asks.
func keepToken(p *httputil.ProxyRequest) {
	if _, ok := middleware.FromContext(p.In.Context()); ok {
		p.Out.Header["Authorization"] = p.In.Header["Authorization"]
	}
}

// dropClaims deletes what a client says of things that only a proxy knows. Some
// servers take the path or the client's address from such a header, and with the
// path a request for a public one could get anywhere; some take an underscore
// for a dash.
func dropClaims(h http.Header) {
	for name := range h {
		switch plain := http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-")); {
		case strings.HasPrefix(plain, "X-Forwarded-"), plain == "X-Original-Url", plain == "X-Rewrite-Url",
			plain == "X-Real-Ip", plain == "True-Client-Ip":
			delete(h, name)
		}
	}
}
