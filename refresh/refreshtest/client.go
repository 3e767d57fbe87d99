package refreshtest

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
)

// Client returns a client that reaches p without sockets, whatever host it is
// asked for, over http and https. Between the two is net/http itself, on
// [net.Pipe], so that faults come out as they do on the network, and all of it
// works in a bubble of testing/synctest. Each request has a connection of its
// own, which ends with the answer: there is nothing to close.
func (p *Provider) Client() *http.Client { return Client(p) }

// Client is [Provider.Client] for any handler, such as one that answers what a
// Provider would not.
func Client(h http.Handler) *http.Client {
	dial := func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		srv := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
		// It leaves the connection to a goroutine, and ends as there is no
		// second one.
		srv.Serve(&single{conn: far})
		return near, nil
	}
	return &http.Client{Transport: &http.Transport{
		DialContext: dial, DialTLSContext: dial, DisableKeepAlives: true,
	}}
}

// A single is a listener with one connection to give.
type single struct {
	mu   sync.Mutex
	conn net.Conn
}

func (s *single) Accept() (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		return nil, net.ErrClosed
	}
	conn := s.conn
	s.conn = nil
	return conn, nil
}

func (s *single) Close() error   { return nil }
func (s *single) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }
