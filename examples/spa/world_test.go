package main

import (
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/examples/internal/chromium"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/local"
)

// A world is the app on a server of its own, which counts what it answers.
type world struct {
	*site
	url    string
	minted atomic.Int64 // access tokens that the issuer has signed
	barred atomic.Bool  // the issuer knows nobody any more

	mu      sync.Mutex
	answers map[string]int // by method, path and status: "GET /api/note 200"
	held    chan chan struct{}
	over    chan struct{} // closed at the test's end
}

// newWorld starts the app with access tokens of the given life, on https with
// HTTP/2 or on plain http.
func newWorld(t *testing.T, life time.Duration, https bool) *world {
	t.Helper()
	w := &world{answers: map[string]int{}, over: make(chan struct{})}
	site, err := newSite(&local.Issuer{
		URL:      "https://issuer.example",
		Audience: []string{"spa"},
		Life:     life,
		Claims: func(context.Context, string) (map[string]any, error) {
			if w.barred.Load() {
				return nil, refresh.ErrDenied
			}
			w.minted.Add(1)
			return nil, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.site = site
	mux := http.NewServeMux()
	mux.Handle("/", site)
	// The test's own: the API tells what it was sent.
	mux.Handle("POST /api/echo", site.auth.Require(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Sent-Type", r.Header.Get("Content-Type"))
		_, _ = io.Copy(rw, r.Body)
	})))
	server := httptest.NewUnstartedServer(w.watch(mux))
	if https {
		server.EnableHTTP2 = true
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(func() {
		close(w.over)
		server.CloseClientConnections()
		server.Close()
		if err := site.Close(); err != nil {
			t.Error(err)
		}
	})
	w.url = server.URL
	return w
}

// watch counts answers, and holds those to refreshes back where that is asked for.
func (w *world) watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, r)
		result := answer.Result()
		w.mu.Lock()
		w.answers[r.Method+" "+r.URL.Path+" "+result.Status[:3]]++
		var held chan chan struct{}
		if r.URL.Path == "/auth/refresh" {
			held, w.held = w.held, nil
		}
		w.mu.Unlock()
		if held != nil {
			release := make(chan struct{})
			held <- release
			select {
			case <-release:
			case <-w.over:
			}
		}
		maps.Copy(rw.Header(), result.Header)
		rw.WriteHeader(result.StatusCode)
		_, _ = rw.Write(answer.Body.Bytes())
	})
}

// hold keeps the answer to the next refresh from its browser. The refresh has
// been made when the channel that it returns gives another, which lets the
// answer go when it is closed.
func (w *world) hold() chan chan struct{} {
	held := make(chan chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held = held
	return held
}

// take returns the answers since the last call, those alone that match.
func (w *world) take(prefix string) map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	taken := maps.Clone(w.answers)
	maps.DeleteFunc(taken, func(answer string, _ int) bool { return !strings.Contains(answer, prefix) })
	clear(w.answers)
	return taken
}

// signIn opens the app in a tab of a new user and signs in.
func (w *world) signIn(t *testing.T, b *chromium.Browser) (*chromium.User, *chromium.Tab) {
	t.Helper()
	u := b.User(t)
	tab := u.Open(t, w.url+"/")
	tab.Until(t, `document.body.dataset.view === "welcome"`)
	tab.Type(t, "#user", "Ada")
	tab.Click(t, "#signin button")
	tab.Until(t, inApp)
	return u, tab
}

// open opens the app in another tab of somebody who is signed in.
func (w *world) open(t *testing.T, u *chromium.User) *chromium.Tab {
	t.Helper()
	tab := u.Open(t, w.url+"/")
	tab.Until(t, inApp)
	return tab
}

const (
	inApp     = `document.body.dataset.view === "app"`
	due       = `!document.cookie.includes("tokenLife=")`
	signedOut = `document.body.dataset.view === "welcome" && document.cookie === "tokenLife=0"`
)

// expire ends the marker as its Max-Age does, without the wait.
func expire(t *testing.T, tab *chromium.Tab) {
	t.Helper()
	chromium.Eval[bool](t, tab, `document.cookie = "tokenLife=; Max-Age=0; Path=/; Secure"; return true`)
	tab.Until(t, due)
}

// secrets are the values of the user's cookies that no script may see.
func secrets(t *testing.T, u *chromium.User, into map[string][]string) {
	t.Helper()
	for name, c := range u.Cookies(t) {
		if c.HTTPOnly {
			into[name] = append(into[name], c.Value)
		}
	}
}

// endAtIssuer ends the user's login where the issuer keeps it.
func (w *world) endAtIssuer(t *testing.T, u *chromium.User) {
	t.Helper()
	err := w.issuer.Revoke(t.Context(), refresh.Tokens{Refresh: u.Cookies(t)["__Secure-refreshToken"].Value})
	if err != nil {
		t.Fatal(err)
	}
}
