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
	d    *decision
	body *replayBody // of r; nil if it has none

	committed  bool        // the final header is out, or about to be
	discarding bool        // a 401 has been held back: what follows of this run is dropped
	lastRun    bool        // no 401 is held back
	started    time.Time   // the first run
	header     http.Header // as the handler found it, for the second run

	hijacker hijackable
}

// hijackable is a response over a connection that can be taken over.
type hijackable struct{ *response }

// writer returns rw with the abilities of what it wraps.
func (rw *response) writer() http.ResponseWriter {
	if canHijack(rw.ResponseWriter) {
		rw.hijacker.response = rw
		return &rw.hijacker
	}
	return rw
}

// canHijack reports whether http.ResponseController finds a Hijacker in w. If rw were
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

// commit is called once, at the last moment to set a header.
func (rw *response) commit() {
	if rw.committed {
		return
	}
	rw.committed = true
	rw.auth.writeCookies(rw.ResponseWriter, rw.r, rw.d) // and releases: a stream may go on for hours
}

// finish is called when the handler has returned, or has panicked. From then on
// rw is transparent.
func (rw *response) finish(returned bool) {
	if returned {
		rw.commit()
	}
	rw.committed, rw.discarding = true, false
	rw.d.release()
}

func (rw *response) WriteHeader(status int) {
	switch {
	case rw.discarding:
		return
	case status < 200 && status != http.StatusSwitchingProtocols:
		// Informational headers come before the final one; 101 is final.
	case status == http.StatusUnauthorized && !rw.committed && rw.exchangeAfter401():
		rw.discarding = true
		return
	default:
		rw.commit()
	}
	rw.ResponseWriter.WriteHeader(status)
}

func (rw *response) Write(p []byte) (int, error) {
	if rw.discarding {
		return len(p), nil
	}
	rw.commit()
	return rw.ResponseWriter.Write(p)
}

func (rw *response) WriteString(s string) (int, error) {
	if rw.discarding {
		return len(s), nil
	}
	rw.commit()
	return io.WriteString(rw.ResponseWriter, s)
}

// ReadFrom keeps the way open for sendfile.
func (rw *response) ReadFrom(r io.Reader) (int64, error) {
	if rw.discarding {
		return io.Copy(io.Discard, r)
	}
	rw.commit()
	return io.Copy(rw.ResponseWriter, r)
}

// Flush writes the header, as it does in net/http.
func (rw *response) Flush() { _ = rw.FlushError() }

func (rw *response) FlushError() error {
	if rw.discarding {
		return nil
	}
	rw.commit()
	return http.NewResponseController(rw.ResponseWriter).Flush()
}

// Unwrap is for the deadlines of http.ResponseController.
func (rw *response) Unwrap() http.ResponseWriter { return rw.ResponseWriter }

// Hijack lets the handler write the header itself, from w.Header() if it is any
// good: the cookies are there.
func (h *hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if h.discarding {
		return nil, nil, http.ErrNotSupported
	}
	h.commit()
	return http.NewResponseController(h.ResponseWriter).Hijack()
}
