package simulation_test

import (
	"fmt"
	"net/http"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
)

// serveApp is the handler behind Require.
func (w *simWorld) serveApp(rw http.ResponseWriter, r *http.Request) {
	q := r.Context().Value(simRequestKey{}).(*simRequest)
	w.mu.Lock()
	q.runs++
	first := q.runs == 1
	if !first && !q.again {
		w.breach("6", "the handler of a request runs %d times", q.runs)
	}
	q.again = false
	if first {
		q.began = time.Now()
	}
	until := w.seen(q, r)
	w.mu.Unlock()
	rw.Header().Set("Cache-Control", "public, max-age=3600")
	if q.kind == "hints" {
		rw.Header().Set("Link", "</style.css>; rel=preload")
		rw.WriteHeader(http.StatusEarlyHints)
		clear(rw.Header()) // as httputil.ReverseProxy does
		rw.Header().Set("Cache-Control", "public, max-age=3600")
	}
	if q.kind == "stream" {
		_ = http.NewResponseController(rw).Flush()
	}
	if first && q.kind != "page" && q.kind != "hints" {
		var gone <-chan struct{}
		if !q.patient {
			gone = r.Context().Done()
		}
		select {
		case <-time.After(q.work):
		case <-gone:
			return
		case <-q.replica.dead:
			return
		}
	}
	if q.kind == "upstream" && !time.Now().Before(until) {
		w.mu.Lock()
		q.again = first
		w.mu.Unlock()
		rw.Header().Set("Www-Authenticate", `Bearer error="invalid_token"`)
		rw.Header().Set("X-Upstream", "1")
		rw.WriteHeader(http.StatusUnauthorized)
		return
	}
	fmt.Fprint(rw, "hello")
}

// seen checks what a handler sees, and returns when its token ends. The caller
// holds w.mu.
func (w *simWorld) seen(q *simRequest, r *http.Request) time.Time {
	t, ok := middleware.FromContext(r.Context())
	if !ok {
		w.breach("6", "a handler behind Require finds no token")
		return time.Time{}
	}
	if q.login == nil || t.Subject != q.login.subject {
		w.breach("4", "a handler sees %s in a request of another", t.Subject)
		return t.Expiry
	}
	if got := r.Header.Get("Authorization"); got != "Bearer "+t.Raw {
		w.breach("6", "the Authorization header does not carry the token of the context, %s", simName(t.Raw))
	}
	c, err := r.Cookie(simAccessCookie)
	if err != nil || c.Value != t.Raw {
		w.breach("6", "the cookies of the request do not carry the token of the context, %s: %v", simName(t.Raw), err)
	}
	if _, gen := simNumbers(t.Raw); gen < q.gen {
		w.breach("6", "a handler sees %s in a request with %s", simName(t.Raw), simName(q.access))
	}
	return t.Expiry
}
