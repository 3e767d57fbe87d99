// Command bench measures what the gateway costs a request of a signed-in user,
// beside a reverse proxy that does nothing else, in front of one and the same
// upstream. It needs wrk and Linux; run.sh builds what it needs and starts it.
//
// Rounds alternate, so that whatever else the machine does meets all alike; only
// the ratio within one run means anything.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"sync"
	"time"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("bench: ")
	var (
		gateway     = flag.String("gateway", "", "the gateway's program")
		rounds      = flag.Int("rounds", 5, "how often each is measured")
		round       = flag.Duration("round", 3*time.Second, "how long each time")
		connections = flag.Int("connections", 64, "at once")
		upstream    = flag.Bool("upstream", false, "be the upstream")
		bare        = flag.String("bare", "", "be the bare proxy before this URL")
		pool        = flag.Bool("pool", false, "give the bare proxy a BufferPool")
	)
	flag.Parse()
	var err error
	switch {
	case *upstream:
		err = serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello, world\n")) }))
	case *bare != "":
		err = serveBare(*bare, *pool)
	case *gateway == "":
		err = fmt.Errorf("-gateway is required")
	default:
		err = measure(*gateway, *rounds, *round, *connections)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// serve serves on a free port, and says on which.
func serve(h http.Handler) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("{\"msg\":\"listening\",\"address\":%q}\n", l.Addr())
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	return srv.Serve(l)
}

// serveBare is the least that a reverse proxy can be. It keeps as many
// connections to the upstream as the gateway does. With a pool it also reuses
// the buffers that answers are copied through, as the gateway does, and as a
// ReverseProxy does not unless it is told to.
func serveBare(upstream string, pool bool) error {
	target, err := url.Parse(upstream)
	if err != nil {
		return err
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			p.SetXForwarded()
		},
		Transport: &http.Transport{MaxIdleConnsPerHost: 256, IdleConnTimeout: 90 * time.Second, DisableCompression: true},
	}
	if pool {
		proxy.BufferPool = new(buffers)
	}
	return serve(proxy)
}

type buffers struct{ pool sync.Pool }

type buffer [32 << 10]byte

func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*buffer); ok {
		return p[:]
	}
	return new(buffer)[:]
}

func (b *buffers) Put(p []byte) { b.pool.Put((*buffer)(p)) }

// A contestant is one way to the upstream, and how it did.
type contestant struct {
	name   string
	server *process
	cookie string
	rates  []float64 // requests per second, by round
	cpu    []float64 // microseconds of the server's processor time per request
}

func measure(gateway string, rounds int, round time.Duration, connections int) error {
	s, err := newSetting(gateway)
	if err != nil {
		return err
	}
	defer s.close()
	all := []*contestant{
		{name: "bare proxy", server: s.bare, cookie: s.cookie},
		{name: "bare proxy, no cookies", server: s.bare},
		{name: "bare proxy, BufferPool", server: s.pooled, cookie: s.cookie},
		{name: "gateway, signed in", server: s.gateway, cookie: s.cookie},
	}
	for n := range rounds + 1 { // the first is to get warm
		for _, c := range all {
			before, err := c.server.cpu()
			if err != nil {
				return err
			}
			load, err := wrk(c.server.url, c.cookie, round, connections)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			after, err := c.server.cpu()
			if err != nil {
				return err
			}
			if n > 0 {
				c.rates = append(c.rates, load.rate)
				c.cpu = append(c.cpu, float64((after-before).Microseconds())/load.requests)
			}
		}
	}
	fmt.Printf("%d rounds of %v, %d connections, %d bytes of cookies; medians\n\n", rounds, round, connections, len(s.cookie))
	fmt.Printf("%-26s %12s %8s %15s\n", "", "requests/s", "ratio", "µs CPU/request")
	first := median(all[0].rates)
	for _, c := range all {
		fmt.Printf("%-26s %12.0f %8.2f %15.1f\n", c.name, median(c.rates), median(c.rates)/first, median(c.cpu))
	}
	return nil
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

// environ is what children get of this process's environment: nothing that the
// gateway would take for configuration.
func environ(more ...string) []string {
	return append([]string{"PATH=" + os.Getenv("PATH"), "GOMAXPROCS=" + os.Getenv("GOMAXPROCS")}, more...)
}
