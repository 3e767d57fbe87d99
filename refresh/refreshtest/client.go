package refreshtest

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
)

// Client returns a client whose requests are all served by p, without sockets,
// for every host, over http and https. It uses net/http on [net.Pipe], so that
// faults have the same effect as on the network, and works in a bubble of
// testing/synctest. Each request has a connection of its own, which ends with
// the answer, so that there is nothing to close.
func (p *Provider) Client() *http.Client { return Client(p) }

// Client is [Provider.Client] for any handler, for example for one with answers
// that a Provider does not give.
func Client(h http.Handler) *http.Client {
	dial := func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		srv := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
		// Serve starts a goroutine for the connection, and returns because
		// there is no second connection.
		srv.Serve(&single{conn: far})
		return near, nil
	}
	return &http.Client{Transport: &http.Transport{
		DialContext: dial, DialTLSContext: dial, DisableKeepAlives: true,
	}}
}

// A single is a listener that accepts one connection.
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
