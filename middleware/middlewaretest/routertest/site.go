// Package routertest is the test that package middleware behaves in the same way
// under every router: net/http's, chi's, gin's, echo's, and any for which somebody
// writes an adapter. An adapter's test gives it a site with the routes of [Site]:
//
//	func TestRouter(t *testing.T) {
//		routertest.Run(t, routertest.Router{Handler: newSite, Again: true})
//	}
//
// It serves the site on loopback sockets, over HTTP/1.1 and HTTP/2.
package routertest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/verify"
)

// A Router is what is tested.
type Router struct {
	// Handler returns s as the router serves it.
	Handler func(s *Site) http.Handler

	// Again tells that the adapter itself runs a handler again that has answered
	// 401. Around the whole router, package middleware does so with any.
	Again bool
}

// A Site is what a router has to serve, each route in the router's own way, with
// the token from the router's own context:
//
//	GET  /private  Require               200 and the subject
//	POST /private  Require               200 and the request's body
//	GET  /public   Optional              200 and the subject, or "nobody"
//	GET  /write    RequireScope "write"  200 and the subject
//	GET  /staff    RequireGroup "staff"  200 and the subject
//	GET  /renewed  KeepAlive            200 and what Subject says
//	GET  /nested   Require, then RequireScope "write" and Optional: 200 and the subject
//	GET  /empty    Require               204 and nothing, without a Write
//	GET  /moody    Require               401 and nothing, where Denied says so, else as /private
//	POST /moody    Require               401 and the challenge "Bearer", where Denied says so, else as /private
//	GET  /stream   Require               what Stream does
//	GET  /hijack   Require               what Hijack does
//	GET  /abort    Require               what Abort does, without anything that recovers
//	GET  /panic    Require               a panic, which the router's recovery answers with 500
//
// Any other path is not found, with no middleware.
type Site struct {
	Auth *middleware.Auth

	seen chan struct{} // the client has read the first half of a stream
}

// Denied reports whether the handler of /moody has to answer 401 to t.
func (s *Site) Denied(t *verify.Token) bool { return t.ID == moody }

// moody is the jti of an access token that is good, and that a handler refuses.
const moody = "moody"

// Subject returns whose access token is in r's cookies, or "nobody".
func (s *Site) Subject(r *http.Request) string {
	tokens, _ := s.Auth.Cookies.Read(r) // what cannot be read is nobody's
	t, err := s.Auth.Verifier.Verify(r.Context(), tokens.Access)
	if err != nil {
		return "nobody"
	}
	return t.Subject
}

// Stream writes one half of an answer, and the other when the client has read the
// first.
func (s *Site) Stream(w http.ResponseWriter) {
	io.WriteString(w, "one\n")
	if err := http.NewResponseController(w).Flush(); err != nil {
		fmt.Fprintln(w, err)
		return
	}
	<-s.seen
	io.WriteString(w, "two\n")
}

// Abort writes the beginning of an answer and gives up.
func (s *Site) Abort(w http.ResponseWriter) {
	io.WriteString(w, "half")
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// Hijack takes the connection over and writes an answer with w's header to it.
func (s *Site) Hijack(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotImplemented)
		return
	}
	defer conn.Close()
	var answer bytes.Buffer
	answer.WriteString("HTTP/1.1 200 OK\r\nConnection: close\r\n")
	w.Header().Write(&answer)
	answer.WriteString("\r\nhijacked")
	conn.Write(answer.Bytes()) // an error is the client's to notice
}

// Run tests r.
func Run(t *testing.T, r Router) {
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(protocol, func(t *testing.T) {
			for _, v := range visits {
				t.Run(v.name, func(t *testing.T) { newWorld(t, protocol, r.Handler, nil).visit(t, v) })
			}
			for name, around := range arounds {
				for _, v := range visits {
					if v.cookies == "" {
						continue
					}
					t.Run(name+" around the whole, "+v.name, func(t *testing.T) {
						newWorld(t, protocol, r.Handler, around).visit(t, v)
					})
				}
			}
			testAgain(t, protocol, r)
			testFlow(t, protocol, r)
		})
	}
}
