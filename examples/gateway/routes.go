package main

import (
	"encoding/json"
	"io"
	"net/http"

	"github.com/tokenlife/tokenlife/middleware"
)

// handler returns the gateway's own routes, and the way to the upstream for all
// others. It is no http.ServeMux, which would redirect requests to paths that
// it finds nicer: what the upstream gets is what the client sent.
func (g *gateway) handler() http.Handler {
	own := map[string]http.Handler{
		"/auth/login":              g.flow.Start(),
		"/auth/callback":           g.flow.Callback(),
		"/auth/refresh":            g.auth.RefreshHandler(),
		"/auth/logout":             g.auth.Logout(g.flow.EndSession),
		"/auth/session":            onlyGet(g.auth.Session()),
		"/auth/backchannel-logout": g.flow.BackChannel(),
		"/auth/tokenlife.js":       middleware.Script(),
		"/healthz":                 onlyGet(http.HandlerFunc(healthy)),
	}
	proxy := g.proxy()
	public, protected := g.auth.Optional(proxy), g.auth.Require(proxy)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := protected
		switch mine := own[r.URL.Path]; {
		case mine != nil:
			h = mine
		case r.Method == http.MethodConnect, r.Method == http.MethodTrace:
			// This is no forward proxy, and whoever answers TRACE would send the
			// browser's tokens back to it.
			problem(w, http.StatusMethodNotAllowed)
			return
		case isPublic(g.config.public, r.URL.EscapedPath()):
			h = public
		}
		h.ServeHTTP(w, r)
	})
}

func healthy(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = io.WriteString(w, "ok\n")
}

func onlyGet(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			problem(w, http.StatusMethodNotAllowed)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// problem answers with a problem document (RFC 9457) that says no more than the
// status.
func problem(w http.ResponseWriter, status int) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(struct {
		Title  string `json:"title"`
		Status int    `json:"status"`
	}{http.StatusText(status), status})
}
