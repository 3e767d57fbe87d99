package main

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/middlewaretest/routertest"
)

// chi needs no adapter: what holds of net/http's own router holds of it.
func TestRouter(t *testing.T) {
	routertest.Run(t, routertest.Router{Handler: newTestSite, Again: true})
}

func newTestSite(s *routertest.Site) http.Handler {
	a := s.Auth
	on := func(f func(http.ResponseWriter)) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { f(w) }
	}
	site := chi.NewRouter()
	site.With(a.Optional).Get("/public", subject)
	site.With(a.RequireScope("write")).Get("/write", subject)
	site.With(a.RequireGroup("staff")).Get("/staff", subject)
	site.With(a.KeepAlive).Get("/renewed", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, s.Subject(r)) })
	site.Route("/nested", func(nested chi.Router) {
		nested.Use(a.Require)
		nested.With(a.RequireScope("write"), a.Optional).Get("/", subject)
	})
	site.Group(func(private chi.Router) {
		private.Use(a.Require)
		private.Get("/private", subject)
		private.Post("/private", sent)
		private.Get("/empty", on(func(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) }))
		private.Get("/moody", func(w http.ResponseWriter, r *http.Request) {
			if token, ok := middleware.FromContext(r.Context()); ok && s.Denied(token) {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			subject(w, r)
		})
		private.Post("/moody", func(w http.ResponseWriter, r *http.Request) {
			if token, ok := middleware.FromContext(r.Context()); ok && s.Denied(token) {
				w.Header().Set("WWW-Authenticate", "Bearer")
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			sent(w, r)
		})
		private.Get("/stream", on(s.Stream))
		private.Get("/hijack", on(s.Hijack))
		private.Get("/abort", on(s.Abort))
	})
	site.With(quiet, chimiddleware.Recoverer, a.Require).Get("/panic", on(func(http.ResponseWriter) { panic("a handler's mistake") }))
	return site
}

func subject(w http.ResponseWriter, r *http.Request) {
	name := "nobody"
	if token, ok := middleware.FromContext(r.Context()); ok {
		name = token.Subject
	}
	io.WriteString(w, name)
}

func sent(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }

// quiet keeps the stack of the panic to itself, which chi would print.
func quiet(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, chimiddleware.WithLogEntry(r, silence{}))
	})
}

type silence struct{}

func (silence) Write(int, int, http.Header, time.Duration, any) {}
func (silence) Panic(any, []byte)                               {}
