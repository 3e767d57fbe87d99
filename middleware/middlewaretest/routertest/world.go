package routertest

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/middlewaretest"
)

// A world is a site that is being served, and its provider.
type world struct {
	*middlewaretest.Provider
	site   *Site
	server *httptest.Server
	client *http.Client
}

// newWorld serves a site over protocol; around, if any, is put around it all.
func newWorld(t *testing.T, protocol string, router func(*Site) http.Handler, around func(*middleware.Auth, http.Handler) http.Handler) *world {
	t.Helper()
	p := middlewaretest.NewProvider(t)
	auth := &middleware.Auth{Verifier: p, Refresher: p}
	w := &world{Provider: p, site: &Site{Auth: auth, seen: make(chan struct{}, 1)}}
	handler := router(w.site)
	if around != nil {
		handler = around(auth, handler)
	}
	w.server = httptest.NewUnstartedServer(handler)
	w.server.Config.ErrorLog = log.New(io.Discard, "", 0) // of panics
	w.server.EnableHTTP2 = protocol == "HTTP/2.0"
	w.server.StartTLS()
	t.Cleanup(func() {
		w.server.Close()
		if err := auth.Close(); err != nil {
			t.Error(err)
		}
	})
	w.client = w.server.Client()
	w.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return w
}

// request makes a request of a browser with a login that has these claims; of one
// without a login if they are nil.
func (w *world) request(t *testing.T, method, path, body string, claims map[string]any) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, w.server.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if claims != nil {
		middlewaretest.SignIn(w.site.Auth, r, w.Login(claims))
	}
	return r
}

// do sends r, and returns the answer with its body.
func (w *world) do(t *testing.T, r *http.Request) (*http.Response, string) {
	t.Helper()
	res, err := w.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

// What an answer does to the cookies of a browser.
type effect string

const (
	untouched effect = "leaves them"
	renewed   effect = "sets new ones"
	cleared   effect = "clears them"
)

// effectOf tells what res does to them, and that it does so in one piece.
func effectOf(t *testing.T, res *http.Response) effect {
	t.Helper()
	set := make(map[string]*http.Cookie)
	for _, c := range res.Cookies() {
		if set[c.Name] != nil {
			t.Errorf("the cookie %s is set twice", c.Name)
		}
		set[c.Name] = c
	}
	access, refresh, marker := set["__Host-accessToken"], set["__Host-refreshToken"], set["tokenLife"]
	switch {
	case len(set) == 0:
		return untouched
	case len(set) != 3 || access == nil || refresh == nil || marker == nil:
		t.Errorf("an answer with %d cookies", len(set))
	case res.Header.Get("Cache-Control") != "private, no-store":
		t.Errorf("cookies beside Cache-Control %q", res.Header.Get("Cache-Control"))
	case access.MaxAge < 0 && refresh.MaxAge < 0 && marker.Value == "0":
		return cleared
	case access.MaxAge > 0 && refresh.MaxAge > 0 && marker.MaxAge > 0:
		return renewed
	}
	return "is at odds with itself"
}

func (w *world) wantRefreshes(t *testing.T, want int) {
	t.Helper()
	if s := w.Endpoint.Stats(); s.Refreshed != want || s.Reused != 0 {
		t.Errorf("the provider saw %d refreshes and %d reuses, want %d and none", s.Refreshed, s.Reused, want)
	}
}
