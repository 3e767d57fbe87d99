package middleware_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/refresh/event"
)

// renewing serves h, over a real connection, behind an Auth that refreshes the
// login at every request.
func renewing(t *testing.T, h http.HandlerFunc) (*http.Client, *http.Request) {
	t.Helper()
	return renewingIn(t, func(w http.ResponseWriter) http.ResponseWriter { return w }, h)
}

// renewingIn is renewing within another middleware's ResponseWriter.
func renewingIn(t *testing.T, around func(http.ResponseWriter) http.ResponseWriter, h http.HandlerFunc) (*http.Client, *http.Request) {
	t.Helper()
	w := newWorld()
	tokens := w.provider.login("ann")
	site := w.Require(h)
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { site.ServeHTTP(around(rw), r) }))
	t.Cleanup(srv.Close)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.AddCookie(&http.Cookie{Name: "__Host-refreshToken", Value: tokens.Refresh})
	return srv.Client(), r
}

// get returns the response, its body, and the headers of the 1xx responses
// before it.
func get(t *testing.T, c *http.Client, r *http.Request) (*http.Response, string, []http.Header) {
	t.Helper()
	var early []http.Header
	r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(_ int, h textproto.MIMEHeader) error {
			early = append(early, http.Header(h))
			return nil
		},
	}))
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b), early
}

func TestPromise07CookiesComeWithTheFinalHeaderAndAreNeverCached(t *testing.T) {
	tests := []struct {
		name    string
		handler http.HandlerFunc
		status  int
		body    string
	}{
		{"a handler that writes nothing", func(http.ResponseWriter, *http.Request) {}, 200, ""},
		{"a handler that sets its own caching", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", "public, max-age=3600")
			fmt.Fprint(w, "x")
		}, 200, "x"},
		{"a handler that clears the header after early hints, as a reverse proxy does", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "</a.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			clear(w.Header())
			w.WriteHeader(http.StatusTeapot)
		}, 418, ""},
		{"a handler that writes a string", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "x")
		}, 200, "x"},
		{"a handler that copies", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.Copy(w, io.LimitReader(strings.NewReader("xyz"), 2))
		}, 200, "xy"},
		{"a handler that flushes first", func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
			fmt.Fprint(w, "x")
		}, 200, "x"},
		{"a handler that flushes by a controller", func(w http.ResponseWriter, _ *http.Request) {
			if err := http.NewResponseController(w).Flush(); err != nil {
				panic(err)
			}
			fmt.Fprint(w, "x")
		}, 200, "x"},
		{"a handler that sets a cookie of its own, and one of ours", func(w http.ResponseWriter, _ *http.Request) {
			http.SetCookie(w, &http.Cookie{Name: "theme", Value: "dark"})
			http.SetCookie(w, &http.Cookie{Name: "__Host-accessToken", Value: "mine"})
			w.WriteHeader(http.StatusNotFound)
		}, 404, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client, r := renewing(t, tt.handler)
			res, body, early := get(t, client, r)
			if res.StatusCode != tt.status || body != tt.body {
				t.Errorf("answered %d %q, want %d %q", res.StatusCode, body, tt.status, tt.body)
			}
			count := make(map[string]int)
			for _, c := range res.Cookies() {
				count[c.Name]++
				if c.Value == "mine" {
					t.Error("the handler's cookie took the place of ours")
				}
			}
			for _, name := range []string{"__Host-accessToken", "__Host-refreshToken", "tokenLife"} {
				if count[name] != 1 {
					t.Errorf("%d lines for %s", count[name], name)
				}
			}
			if strings.HasPrefix(tt.name, "a handler that sets a cookie") && count["theme"] != 1 {
				t.Error("the handler's own cookie is lost")
			}
			if got := res.Header["Cache-Control"]; len(got) != 1 || got[0] != "private, no-store" {
				t.Errorf("Cache-Control %q", got)
			}
			for _, h := range early {
				if h["Set-Cookie"] != nil {
					t.Error("cookies in an informational answer")
				}
			}
		})
	}
}

func TestAHandlerThatTakesTheConnectionOverGetsTheCookiesInItsHeader(t *testing.T) {
	ways := map[string]func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error){
		"by its own method": func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) { return w.(http.Hijacker).Hijack() },
		"by a controller": func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) {
			return http.NewResponseController(w).Hijack()
		},
	}
	arounds := map[string]func(http.ResponseWriter) http.ResponseWriter{
		"the server's writer": func(w http.ResponseWriter) http.ResponseWriter { return w },
		"one that unwraps":    func(w http.ResponseWriter) http.ResponseWriter { return unwraps{w} },
	}
	for way, hijack := range ways {
		for name, around := range arounds {
			t.Run(way+", around "+name, func(t *testing.T) {
				client, r := renewingIn(t, around, func(w http.ResponseWriter, _ *http.Request) {
					conn, buf, err := hijack(w)
					if err != nil {
						panic(err)
					}
					defer conn.Close()
					writeRaw(buf, w.Header())
				})
				r.Header.Set("Upgrade", "test")
				r.Header.Set("Connection", "Upgrade")
				res, err := client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				wantStatus(t, res, 101)
				wantCookies(t, res, 3)
			})
		}
	}
}

// unwraps is a ResponseWriter with no other method than Unwrap.
type unwraps struct{ http.ResponseWriter }

func (u unwraps) Unwrap() http.ResponseWriter { return u.ResponseWriter }

func writeRaw(w *bufio.ReadWriter, h http.Header) {
	fmt.Fprint(w, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: test\r\n")
	_ = h.Write(w)
	fmt.Fprint(w, "\r\n")
	_ = w.Flush()
}

// plain is a ResponseWriter without optional methods.
type plain struct{ http.ResponseWriter }

func TestAWriterPromisesNoMoreThanWhatItWraps(t *testing.T) {
	w := newWorld()
	tokens := w.provider.login("ann")
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.AddCookie(&http.Cookie{Name: "__Host-refreshToken", Value: tokens.Refresh})
	w.Require(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, ok := w.(http.Hijacker); ok {
			t.Error("a writer that cannot be hijacked says it can")
		}
		if _, _, err := http.NewResponseController(w).Hijack(); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("Hijack: %v", err)
		}
	})).ServeHTTP(plain{httptest.NewRecorder()}, r)
}

func TestAPanicOfTheHandlerPassesThrough(t *testing.T) {
	client, r := renewing(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	if res, err := client.Do(r); err == nil {
		res.Body.Close()
		t.Errorf("an aborted handler was answered with %d", res.StatusCode)
	} else if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		t.Error(err)
	}
}

// A response takes a minute while tokens live for less. Its cookies must not
// bring back the tokens that it began with.
func TestPromise05TheNewestWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		b := w.signIn(t, "ann")
		<-time.After(life)
		slow := b.request("GET", "/export")
		answer := make(chan *http.Response)
		go func() {
			answer <- serve(w.Require(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				<-time.After(10 * life)
				fmt.Fprint(w, "export")
			})), slow)
		}()
		for range 10 * int(life/time.Second) {
			wantStatus(t, b.do(w.Require(whoami), "GET", "/"), 200)
			<-time.After(time.Second)
		}
		before := b.get("__Host-refreshToken")
		b.store(<-answer)
		if after := b.get("__Host-refreshToken"); after != before {
			t.Errorf("the slow answer took the browser from %s back to %s", before, after)
		}
		for range 100 {
			wantStatus(t, b.do(w.Require(whoami), "GET", "/"), 200)
			<-time.After(time.Second)
		}
		if w.provider.reuse > 0 {
			t.Error("a refresh token was used twice")
		}
		closeWorld(t, w)
	})
}

func TestPromise05LogoutWinsOverAResponseUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			name    string
			refresh time.Duration // how long the provider takes
			handler time.Duration
		}{
			{"the handler is at work", 0, time.Minute},
			{"the refresh is in flight", time.Second, 0},
		} {
			w := newWorld()
			b := w.signIn(t, "ann")
			<-time.After(life)
			w.provider.set(func(p *provider) { p.delay = tt.refresh })
			r := b.request("GET", "/")
			answer := make(chan *http.Response)
			go func() {
				answer <- serve(w.Require(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
					<-time.After(tt.handler)
				})), r)
			}()
			synctest.Wait()
			b.do(w.Logout(nil), "POST", "/auth/logout")
			b.store(<-answer)
			if b.get("__Host-accessToken") != "" || b.get("__Host-refreshToken") != "" || b.get("tokenLife") != "0" {
				t.Errorf("%s: the browser is signed in again: %v", tt.name, b.jar)
			}
			wantStatus(t, serve(w.Require(whoami), r), 401) // the old cookies lead nowhere
			closeWorld(t, w)
		}
	})
}

func TestALoginWhoseCookiesDoNotFitGoesOnAndIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		b := w.signIn(t, "ann")
		<-time.After(life)
		r := b.request("GET", "/")
		w.provider.set(func(p *provider) { p.pad = strings.Repeat("x", 20_000) })
		res := serve(w.Require(whoami), r)
		wantStatus(t, res, 200)
		wantCookies(t, res, 0)
		if w.saw(event.CookiesFailed) != 1 {
			t.Errorf("events: %+v", w.events)
		}
		closeWorld(t, w)
	})
}
