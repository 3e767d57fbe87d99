package ginauth

import (
	"bufio"
	"net"
	"net/http"

	"github.com/gin-gonic/gin"
)

// Gin keeps the status of an answer in a writer of its own until something is
// written, and the engine writes to that one directly: the header of an answer
// without a body. So it stays the writer that answers. Two others stand around
// what package middleware puts between. The [writer] above tells it when the
// header is about to be written. What it writes itself, [beneath] takes for an
// answer only where no handler has run: it has refused the request then.
//
//	handlers → writer ───────────────────────────→ gin's writer → net/http
//	              └ settle → middleware's → beneath ┘ (refusals)

// A writer is what the handlers write to.
type writer struct {
	gin.ResponseWriter
	above http.ResponseWriter // middleware's
}

// settle lets the middleware add its cookies, at the last moment there is; it
// does so once. The status that it is told is not the answer's: at a 401 it would
// run the handlers again, which gin cannot do.
func (w *writer) settle() { w.above.WriteHeader(http.StatusOK) }

func (w *writer) WriteHeaderNow() {
	w.settle()
	w.ResponseWriter.WriteHeaderNow()
}

func (w *writer) Write(p []byte) (int, error) {
	w.settle()
	return w.ResponseWriter.Write(p)
}

func (w *writer) WriteString(s string) (int, error) {
	w.settle()
	return w.ResponseWriter.WriteString(s)
}

func (w *writer) Flush() {
	w.settle()
	w.ResponseWriter.Flush()
}

// Hijack leaves the header to the handler, which finds the cookies in it.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.settle()
	return w.ResponseWriter.Hijack()
}

// Unwrap is for the deadlines of http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// beneath is what the middleware writes to.
type beneath struct {
	gin.ResponseWriter
	passed bool // the handlers have run, or do
}

// WriteHeader writes the header at once, as net/http does and gin does not.
func (b *beneath) WriteHeader(status int) {
	if b.passed {
		return
	}
	b.ResponseWriter.WriteHeader(status)
	b.ResponseWriter.WriteHeaderNow()
}
