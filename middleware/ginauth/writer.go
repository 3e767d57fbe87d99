package ginauth

import (
	"bufio"
	"net"
	"net/http"

	"github.com/gin-gonic/gin"
)

// Gin keeps the status of an answer in a writer of its own until something is
// written, and some of it goes there directly: the engine writes the header of an
// answer without a body. So that writer stays the one that answers. Two others
// stand around what package middleware puts between: above it, a [writer] tells
// it when the header is about to be written, and beneath it, [beneath] hears what
// it writes itself, which is an answer only where it has refused the request.
//
//	handlers → writer ─────────────────────────→ gin's writer → net/http
//	              └ settle → middleware's writer → beneath ┘ (refusals)

// A writer is what the handlers write to.
type writer struct {
	gin.ResponseWriter // gin's
	above              http.ResponseWriter
	beneath            *beneath
	settled            bool
}

// settle lets the middleware add its cookies: this is the last moment. The status
// that it is told is not the answer's, as a 401 would make it run the handlers
// again, which gin cannot do.
func (w *writer) settle() {
	if w.settled {
		return
	}
	w.settled = true
	w.beneath.deaf = true
	w.above.WriteHeader(http.StatusOK)
	w.beneath.deaf = false
}

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
	deaf bool
}

// WriteHeader writes the header at once, as net/http does and gin does not.
func (b *beneath) WriteHeader(status int) {
	if b.deaf {
		return
	}
	b.ResponseWriter.WriteHeader(status)
	b.ResponseWriter.WriteHeaderNow()
}

// Unwrap is for http.ResponseController.
func (b *beneath) Unwrap() http.ResponseWriter { return b.ResponseWriter }
