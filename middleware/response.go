package middleware

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/tokenlife/tokenlife/middleware/internal/stepup"
)

// A response is the ResponseWriter of a handler whose request may have to set
// cookies. It sets them when the handler writes the final header, for three
// reasons: a reverse proxy that forwards 103 Early Hints clears the headers
// that were set before, a handler may set a Cache-Control of its own, and the
// newest tokens are not known earlier. It buffers nothing.
//
// A response also discards a first 401 of the handler if the handler can be run
// again, and redirects a page navigation whose 401 demands another sign-in.
type response struct {
	http.ResponseWriter
	auth *Auth
	r    *http.Request // as the client has sent it
	d    *decision
	body *replayBody // of r; nil: r has none, or is not replayed

	committed  bool        // the cookies are set: the final header is being written
	discarding bool        // this run has answered 401 and the handler will run again
	redirected bool        // the client has got a redirect in place of the handler's answer
	lastRun    bool        // the handler will not run again
	started    time.Time   // when the first run began
	header     http.Header // what was set before the first run, for the second or a redirect

	hijacker hijackable // what writer returns, here to save an allocation
}

// A hijackable is a response whose connection can be hijacked.
type hijackable struct{ *response }

// writer returns rw, as an [http.Hijacker] if the ResponseWriter behind it is
// one.
func (rw *response) writer() http.ResponseWriter {
	if canHijack(rw.ResponseWriter) {
		rw.hijacker.response = rw
		return &rw.hijacker
	}
	return rw
}

// canHijack reports whether [http.ResponseController] finds an [http.Hijacker]
// in w. Then writer has to return one as well: the controller would otherwise
// unwrap rw, and no cookies would be set.
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

// commit sets the cookies, once, before the final header is written. It also
// releases the tokens: a stream may go on for hours.
func (rw *response) commit() {
	if rw.committed {
		return
	}
	rw.committed = true
	rw.auth.writeCookies(rw.ResponseWriter, rw.r, rw.d)
}

// finish ends the work of rw when the handler has returned or panicked. Later
// writes go straight to the client.
func (rw *response) finish(returned bool) {
	if returned {
		rw.commit()
	}
	rw.committed, rw.discarding = true, false
	rw.d.release()
}

// drops reports whether what the handler writes is not for the client.
func (rw *response) drops() bool { return rw.discarding || rw.redirected }

// WriteHeader sets the cookies first, unless it discards a 401.
func (rw *response) WriteHeader(status int) {
	switch {
	case rw.drops():
		return
	case status < 200 && status != http.StatusSwitchingProtocols:
		// An informational header. The cookies come with the final one, which
		// 101 is.
	case status == http.StatusUnauthorized && !rw.committed:
		// No refresh brings what a sign-in has to.
		if demand, ok := stepup.Parse(rw.Header()["Www-Authenticate"]); ok {
			if rw.redirected = rw.redirectToSignIn(demand); rw.redirected {
				return
			}
		} else if rw.exchangeAfter401() {
			rw.discarding = true
			return
		}
		rw.commit()
	default:
		rw.commit()
	}
	rw.ResponseWriter.WriteHeader(status)
}

func (rw *response) Write(p []byte) (int, error) {
	if rw.drops() {
		return len(p), nil
	}
	rw.commit()
	return rw.ResponseWriter.Write(p)
}

func (rw *response) WriteString(s string) (int, error) {
	if rw.drops() {
		return len(s), nil
	}
	rw.commit()
	return io.WriteString(rw.ResponseWriter, s)
}

// ReadFrom lets the ResponseWriter use sendfile.
func (rw *response) ReadFrom(r io.Reader) (int64, error) {
	if rw.drops() {
		return io.Copy(io.Discard, r)
	}
	rw.commit()
	return io.Copy(rw.ResponseWriter, r)
}

// Flush writes the header, as that of net/http does.
func (rw *response) Flush() { _ = rw.FlushError() }

// FlushError is Flush for [http.ResponseController].
func (rw *response) FlushError() error {
	if rw.drops() {
		return nil
	}
	rw.commit()
	return http.NewResponseController(rw.ResponseWriter).Flush()
}

// Unwrap lets [http.ResponseController] set deadlines.
func (rw *response) Unwrap() http.ResponseWriter { return rw.ResponseWriter }

// Hijack sets the cookies in w.Header(). The handler writes the header to the
// connection itself, and may take them from there.
func (h *hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if h.drops() {
		return nil, nil, http.ErrNotSupported
	}
	h.commit()
	return http.NewResponseController(h.ResponseWriter).Hijack()
}
