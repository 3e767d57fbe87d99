package routertest_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/middlewaretest/routertest"
)

func TestNetHTTP(t *testing.T) {
	routertest.Run(t, routertest.Router{Handler: newSite, Again: true})
}

func newSite(s *routertest.Site) http.Handler {
	a := s.Auth
	subject := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if token, ok := middleware.FromContext(r.Context()); ok {
			io.WriteString(w, token.Subject)
			return
		}
		io.WriteString(w, "nobody")
	})
	sent := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	moody := func(challenge string, next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if token, ok := middleware.FromContext(r.Context()); ok && s.Denied(token) {
				if challenge != "" {
					w.Header().Set("WWW-Authenticate", challenge)
				}
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	on := func(f func(http.ResponseWriter)) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { f(w) })
	}
	mux := http.NewServeMux()
	mux.Handle("GET /private", a.Require(subject))
	mux.Handle("POST /private", a.Require(sent))
	mux.Handle("GET /public", a.Optional(subject))
	mux.Handle("GET /write", a.RequireScope("write")(subject))
	mux.Handle("GET /staff", a.RequireGroup("staff")(subject))
	mux.Handle("GET /renewed", a.KeepAlive(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, s.Subject(r)) })))
	mux.Handle("GET /nested", a.Require(a.RequireScope("write")(a.Optional(subject))))
	mux.Handle("GET /empty", a.Require(on(func(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) })))
	mux.Handle("GET /moody", a.Require(moody("", subject)))
	mux.Handle("POST /moody", a.Require(moody("Bearer", sent)))
	mux.Handle("GET /stream", a.Require(on(s.Stream)))
	mux.Handle("GET /hijack", a.Require(on(s.Hijack)))
	mux.Handle("GET /abort", a.Require(on(s.Abort)))
	mux.Handle("GET /panic", recovered(a.Require(on(func(http.ResponseWriter) { panic("a handler's mistake") }))))
	return mux
}

// recovered answers a panic with 500.
func recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if recover() != nil {
				http.Error(w, "a mistake", http.StatusInternalServerError)
			}
		}()
		next.ServeHTTP(w, r)
	})
}
