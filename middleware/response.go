package middleware

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"time"
)

// A response stands between a handler and the client while the browser may have
// to learn of new tokens. It adds the cookies when the final header is written,
// and not before: a reverse proxy that passes on a 103 Early Hints clears the
// headers set until then, a handler may set its own Cache-Control, and what is
// the newest is known at that moment only. And it holds a first 401 back, where
// the handler can be run again. It buffers nothing.
type response struct {
	http.ResponseWriter
	auth *Auth
	r    *http.Request // as the client sent it
	v    *visit
	body *tape // of r; nil if it has none

	settled bool        // the final header is out, or about to be
	again   bool        // a 401 has been held back: what follows of this run is dropped
	second  bool        // this is the run after that, or there is none
	begin   time.Time   // of the first run
	before  http.Header // the header as the handler found it, for the second run

	taken hijackable
}

// hijackable is a response over a connection that can be taken over.
type hijackable struct{ *response }

// writer returns rw with the abilities of what it wraps.
func (rw *response) writer() http.ResponseWriter {
	if canHijack(rw.ResponseWriter) {
		rw.taken.response = rw
		return &rw.taken
	}
	return rw
}

// canHijack tells whether http.ResponseController finds a Hijacker in w. If rw were
// none, it would find it past rw, and no cookies would be written.
func canHijack(w http.ResponseWriter) bool {
	for {
		switch t := w.(type) {
		case http.Hijacker:
			return true
		case interface{ Unwrap() http.ResponseWriter }:
			w = t.Unwrap()
		default:
			return false
		}
	}
}

// settle is called once, at the last moment to set a header.
func (rw *response) settle() {
	if rw.settled {
		return
	}
	rw.settled = true
	v := rw.v
	if v.early != nil && v.early.join(v) == nil {
		v = v.early.visit
	}
	switch {
	case v.dead:
		rw.auth.policy.Clear(rw.ResponseWriter, rw.r)
	case v.renewal != nil:
		rw.auth.carry(rw.ResponseWriter, rw.r, v)
	}
	rw.release() // a stream may go on for hours
}

// release lets go of the renewal: nothing more is asked of it.
func (rw *response) release() {
	if rw.v.renewal != nil {
		rw.v.renewal.Release()
	}
	if rw.v.early != nil {
		rw.v.early.leave()
	}
}

// finish is called when the handler has returned, or has panicked. From then on
// rw is transparent.
func (rw *response) finish(returned bool) {
	if returned {
		rw.settle()
	}
	rw.settled, rw.again = true, false
	rw.release()
}

func (rw *response) WriteHeader(status int) {
	switch {
	case rw.again:
		return
	case status < 200 && status != http.StatusSwitchingProtocols:
		// Informational headers come before the final one; 101 is final.
	case status == http.StatusUnauthorized && !rw.settled && rw.renewAfter401():
		rw.again = true
		return
	default:
		rw.settle()
	}
	rw.ResponseWriter.WriteHeader(status)
}

func (rw *response) Write(p []byte) (int, error) {
	if rw.again {
		return len(p), nil
	}
	rw.settle()
	return rw.ResponseWriter.Write(p)
}

func (rw *response) WriteString(s string) (int, error) {
	if rw.again {
		return len(s), nil
	}
	rw.settle()
	return io.WriteString(rw.ResponseWriter, s)
}

// ReadFrom keeps the way open for sendfile.
func (rw *response) ReadFrom(r io.Reader) (int64, error) {
	if rw.again {
		return io.Copy(io.Discard, r)
	}
	rw.settle()
	return io.Copy(rw.ResponseWriter, r)
}

// Flush writes the header, as it does in net/http.
func (rw *response) Flush() { _ = rw.FlushError() }

func (rw *response) FlushError() error {
	if rw.again {
		return nil
	}
	rw.settle()
	return http.NewResponseController(rw.ResponseWriter).Flush()
}

// Unwrap is for the deadlines of http.ResponseController.
func (rw *response) Unwrap() http.ResponseWriter { return rw.ResponseWriter }

// Hijack lets the handler write the header itself, from w.Header() if it is any
// good: the cookies are there.
func (h *hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if h.again {
		return nil, nil, http.ErrNotSupported
	}
	h.settle()
	return http.NewResponseController(h.ResponseWriter).Hijack()
}
