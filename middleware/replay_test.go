package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
)

// choosy is a handler that answers 401 until it gets generation n of the access
// token. Before, it does other work.
func choosy(n int, then func(w http.ResponseWriter, r *http.Request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if t, ok := middleware.FromContext(r.Context()); ok && strings.Contains(t.Raw, fmt.Sprintf("~%d~", n)) {
			then(w, r)
			return
		}
		w.Header().Set("X-From-First-Run", "yes")
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		http.SetCookie(w, &http.Cookie{Name: "first", Value: "run"})
		http.Error(w, "I do not like this token", http.StatusUnauthorized)
	}
}

func TestAHandlersFirst401IsReplayedWithANewToken(t *testing.T) {
	echo := func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %d %v", r.Method, len(b), err)
	}
	tests := []struct {
		name    string
		set     func(*middleware.Auth)
		method  string
		size    int // of the body
		headers []string
		age     time.Duration // of the token
		handler http.HandlerFunc
		status  int
		body    string
		calls   int // at the provider
	}{
		{"a GET", nil, "GET", 0, nil, 30 * time.Second, choosy(1, echo), 200, "GET 0 <nil>", 1},
		{"a POST with a Bearer challenge", nil, "POST", 2000, nil, 30 * time.Second, choosy(1, echo), 200, "POST 2000 <nil>", 1},
		{"a POST whose body has been read", nil, "POST", 2000, nil, 30 * time.Second, func(w http.ResponseWriter, r *http.Request) {
			if token, _ := middleware.FromContext(r.Context()); strings.Contains(token.Raw, "~0~") {
				_, _ = io.ReadFull(r.Body, make([]byte, 1000))
			}
			choosy(1, echo)(w, r)
		}, 200, "POST 2000 <nil>", 1},
		{"a body as large as is kept", nil, "POST", 64 << 10, nil, 30 * time.Second, func(w http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body)
			choosy(1, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, len(b), err) })(w, r)
		}, 200, "65536 <nil>", 1},
		{"a body larger than is kept, unread", nil, "POST", 1 << 20, nil, 30 * time.Second, choosy(1, echo), 200, "POST 1048576 <nil>", 1},
		{"a body larger than is kept, read", nil, "POST", 64<<10 + 1, nil, 30 * time.Second, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.ReadAll(r.Body)
			choosy(1, echo)(w, r)
		}, 401, "I do not like this token\n", 0},
		{"a POST without a Bearer challenge is about something else", nil, "POST", 10, nil, 30 * time.Second, func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "wrong password", http.StatusUnauthorized)
		}, 401, "wrong password\n", 0},
		{"a handler that demands another sign-in", nil, "GET", 0, nil, 30 * time.Second, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_user_authentication", max_age="5"`)
			http.Error(w, "sign in once more", http.StatusUnauthorized)
		}, 401, "sign in once more\n", 0},
		{"a handler that never likes a token", nil, "GET", 0, nil, 30 * time.Second, choosy(9, echo), 401, "I do not like this token\n", 1},
		{"a young token is not exchanged again", nil, "GET", 0, nil, 5 * time.Second, choosy(1, echo), 401, "I do not like this token\n", 0},
		{"a token that was refreshed a moment ago", nil, "GET", 0, nil, life, choosy(2, echo), 401, "I do not like this token\n", 1},
		{"an event stream", nil, "GET", 0, []string{"Accept", "text/event-stream"}, 30 * time.Second, choosy(1, echo), 401, "I do not like this token\n", 0},
		{"an upgrade", nil, "GET", 0, []string{"Upgrade", "websocket", "Origin", "https://app.test"}, 30 * time.Second, choosy(1, echo), 401, "I do not like this token\n", 0},
		{"replay is off", func(a *middleware.Auth) { a.Replay = -1 }, "GET", 0, nil, 30 * time.Second, choosy(1, echo), 401, "I do not like this token\n", 0},
		{"a handler that has written before", nil, "GET", 0, nil, 30 * time.Second, func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "hello, ")
			choosy(1, echo)(w, r)
		}, 200, "hello, I do not like this token\n", 0},
		{"a handler that has flushed before", nil, "GET", 0, nil, 30 * time.Second, func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			choosy(1, echo)(w, r)
		}, 200, "I do not like this token\n", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var sets []func(*middleware.Auth)
				if tt.set != nil {
					sets = append(sets, tt.set)
				}
				w := newWorld(sets...)
				b := w.signIn(t, "ann")
				<-time.After(tt.age)
				r := b.request(tt.method, "/")
				if tt.size > 0 {
					r.Body = io.NopCloser(strings.NewReader(strings.Repeat("x", tt.size)))
					r.ContentLength = int64(tt.size)
				}
				for i := 0; i < len(tt.headers); i += 2 {
					r.Header.Set(tt.headers[i], tt.headers[i+1])
				}
				// Another middleware outside, whose header must survive.
				outer := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					rw.Header().Set("X-Outer", "yes")
					w.Require(tt.handler).ServeHTTP(rw, r)
				})
				res := serve(outer, r)
				wantStatus(t, res, tt.status)
				if got := body(t, res); got != tt.body {
					t.Errorf("body %q, want %q", got, tt.body)
				}
				w.provider.expect(t, tt.calls, 0)
				fresh := 0
				for _, c := range res.Cookies() {
					if c.Name == "__Host-accessToken" {
						fresh++
					}
				}
				if fresh != tt.calls {
					t.Errorf("%d new access cookies after %d refreshes", fresh, tt.calls)
				}
				if res.Header.Get("X-Outer") != "yes" {
					t.Error("the header set outside is lost")
				}
				if first := res.Header.Get("X-From-First-Run") != ""; tt.status == 200 && tt.calls == 1 && (first || strings.Contains(fmt.Sprint(names(res)), "first")) {
					t.Error("the second run's header has something of the first")
				}
				closeWorld(t, w)
			})
		})
	}
}

func TestARefresh401CannotMendPassesTheAnswerOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		b := w.signIn(t, "ann")
		<-time.After(30 * time.Second)
		h := w.Require(choosy(1, nil))
		w.provider.set(func(p *provider) { p.err = errors.New("test: down") })
		res := b.do(h, "GET", "/")
		if got := body(t, res); res.StatusCode != 401 || got != "I do not like this token\n" || fmt.Sprint(names(res)) != "[first]" {
			t.Errorf("%d %q %v", res.StatusCode, got, names(res))
		}
		w.provider.set(func(p *provider) { p.err = fmt.Errorf("%w: test", refresh.ErrDenied) })
		res = b.do(h, "GET", "/")
		if got := body(t, res); res.StatusCode != 401 || got != "I do not like this token\n" || b.get("tokenLife") != "0" {
			t.Errorf("%d %q %v", res.StatusCode, got, names(res))
		}
		closeWorld(t, w)
	})
}

// An API behind a reverse proxy that has revoked a token, over both protocols.
func TestReplayThroughAReverseProxy(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		var runs atomic.Int64
		api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			runs.Add(1)
			if !strings.Contains(r.Header.Get("Authorization"), "~1~") {
				w.Header().Set("WWW-Authenticate", "Bearer")
				http.Error(w, "revoked", http.StatusUnauthorized)
				return
			}
			n, err := io.Copy(io.Discard, r.Body)
			w.Header().Set("Trailer", "X-Sum")
			fmt.Fprint(w, n, err)
			w.Header().Set("X-Sum", "1")
		}))
		target, err := url.Parse(api.URL)
		if err != nil {
			t.Fatal(err)
		}
		w := newWorld(func(a *middleware.Auth) { a.ForwardToken = true })
		tokens := w.provider.login("ann")
		tokens.Access = accessToken("ann", 0, time.Now().Add(-30*time.Second))
		front := httptest.NewUnstartedServer(w.Require(&httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(target) }}))
		front.EnableHTTP2 = http2
		front.StartTLS()
		r, err := http.NewRequestWithContext(t.Context(), "POST", front.URL, strings.NewReader(strings.Repeat("x", 30_000)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Cookie", "__Host-accessToken="+tokens.Access+"; __Host-refreshToken="+tokens.Refresh)
		res, text, _ := get(t, front.Client(), r)
		if text != "30000 <nil>" || res.StatusCode != 200 || runs.Load() != 2 || res.Trailer.Get("X-Sum") != "1" || (res.ProtoMajor == 2) != http2 {
			t.Errorf("HTTP/2 %v: %d %q after %d runs, %s", http2, res.StatusCode, text, runs.Load(), res.Proto)
		}
		wantCookies(t, res, 3)
		front.Close()
		api.Close()
		closeWorld(t, w)
	}
}

func TestALargeDownloadPassesUnbuffered(t *testing.T) {
	const size = 32 << 20
	w := newWorld()
	tokens := w.provider.login("ann")
	front := httptest.NewServer(w.Require(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.Copy(w, io.LimitReader(zeros{}, size))
	})))
	defer front.Close()
	r, err := http.NewRequestWithContext(t.Context(), "GET", front.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Cookie", "__Host-accessToken="+tokens.Access+"; __Host-refreshToken="+tokens.Refresh)
	res, err := front.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if n, err := io.Copy(io.Discard, res.Body); n != size || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 4<<20 {
		t.Errorf("%d bytes were allocated on the way", grown)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A slow handler answers 401 after other tabs have refreshed the login and the
// grace has ended. A replay would present the old refresh token to the
// provider.
func TestASlowHandlers401PresentsNoSpentRefreshToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		defer closeWorld(t, w)
		b := w.signIn(t, "ann")
		slow := w.Require(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				<-time.After(120 * time.Second)
				rw.WriteHeader(401)
				return
			}
			fmt.Fprint(rw, "ok")
		}))
		done := make(chan *http.Response)
		r := b.request("GET", "/slow")
		go func() { done <- serve(slow, r) }()
		<-time.After(61 * time.Second)
		wantStatus(t, b.do(slow, "GET", "/"), 200) // refreshed
		<-time.After(time.Second)
		wantStatus(t, b.do(slow, "GET", "/"), 200) // arrival: grace begins
		<-time.After(40 * time.Second)
		wantStatus(t, b.do(slow, "GET", "/"), 200)
		<-done
		<-time.After(30 * time.Second)
		wantStatus(t, b.do(slow, "GET", "/"), 200) // the user is still signed in?
		w.provider.mu.Lock()
		defer w.provider.mu.Unlock()
		if w.provider.reuse != 0 {
			t.Errorf("the provider saw %d used refresh tokens again", w.provider.reuse)
		}
	})
}

// Under Optional or KeepAlive the handler runs after a refused refresh. Its final
// header clears the cookies, so the response must not be cached.
func TestPromise07ClearedCookiesComeWithTheFinalHeaderToo(t *testing.T) {
	for _, mode := range []string{"Optional", "KeepAlive"} {
		t.Run(mode, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				defer closeWorld(t, w)
				h := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					rw.Header().Set("Cache-Control", "public, max-age=3600")
					rw.WriteHeader(200)
				})
				b := w.signIn(t, "ann")
				w.provider.set(func(p *provider) { delete(p.current, "ann") })
				<-time.After(2 * life)
				g := w.Optional(h)
				if mode == "KeepAlive" {
					g = w.KeepAlive(h)
				}
				res := b.do(g, "GET", "/")
				if got := res.Header["Cache-Control"]; len(got) != 1 || got[0] != "private, no-store" {
					t.Errorf("Cache-Control %q with Set-Cookie %q", got, names(res))
				}
			})
		})
	}
}

// A second exchange of one request is no sign that the browser has the tokens
// of the first.
func TestPromise01AnswersMayBeLostInARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		defer closeWorld(t, w)
		h := w.Require(whoami)
		b := w.signIn(t, "ann")
		for i := range 3 {
			<-time.After(20 * time.Minute)
			res := serve(h, b.request("GET", "/")) // the answer is lost
			if res.StatusCode != 200 {
				t.Errorf("visit %d with the old cookies: %d", i+1, res.StatusCode)
			}
		}
		w.provider.mu.Lock()
		defer w.provider.mu.Unlock()
		if w.provider.reuse != 0 {
			t.Errorf("%d reuses", w.provider.reuse)
		}
	})
}

// A request under way with the former login must not clear the cookies of the
// new one.
func TestPromise02ALoserNeverClearsANewLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		defer closeWorld(t, w)
		h := w.Require(whoami)
		b := w.signIn(t, "ann")
		<-time.After(2 * life)
		w.provider.set(func(p *provider) { p.delay = 3 * time.Second })
		done := make(chan *http.Response)
		r := b.request("GET", "/")
		go func() { done <- serve(h, r) }()
		<-time.After(time.Second)
		// Meanwhile the user signs in anew, in another tab.
		rec := httptest.NewRecorder()
		if err := w.SignIn(rec, b.request("POST", "/login"), w.provider.login("bob")); err != nil {
			t.Fatal(err)
		}
		b.store(rec.Result())
		b.store(<-done)
		if b.get("__Host-refreshToken") == "" {
			t.Error("the new login has been cleared by a request of the old one")
		}
		<-time.After(20 * time.Second)
	})
}

// This machine's clock is ahead of the provider's: a new token is good by the
// leeway, and due already.
func TestAClockAheadOfTheProvidersCostsNoMoreRefreshes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.checker.leeway = 30 * time.Second
		skew := 50 * time.Second
		calls := 0
		w.Auth.Refresher = refresh.Func(func(_ context.Context, old refresh.Tokens) (refresh.Tokens, error) {
			calls++
			return refresh.Tokens{Access: accessToken("ann", calls, time.Now().Add(-skew)), Refresh: fmt.Sprint("ann~", calls, "~refresh-token")}, nil
		})
		defer closeWorld(t, w)
		h := w.Require(whoami)
		b := w.signIn(t, "ann")
		<-time.After(2 * life)
		res := b.do(h, "GET", "/")
		wantStatus(t, res, 200)
		if calls != 1 {
			t.Errorf("%d calls", calls)
		}
	})
}

// A new token is signed by a key that is not known yet. The request must not be
// answered with 401.
func TestANewTokenWhoseKeyIsNotKnownYetIsNoSignOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(func(a *middleware.Auth) { a.LoginURL = "/login" })
		base := w.checker
		w.Auth.Verifier = middleware.VerifierFunc(func(ctx context.Context, raw string) (*verify.Token, error) {
			if strings.Contains(raw, "~1~") {
				return nil, fmt.Errorf("%w: its key is unknown", verify.ErrInvalid)
			}
			return base.Verify(ctx, raw)
		})
		defer closeWorld(t, w)
		h := w.Require(whoami)
		b := w.signIn(t, "ann")
		<-time.After(2 * life)
		res := b.do(h, "GET", "/", "Sec-Fetch-Mode", "navigate")
		wantStatus(t, res, 503)
	})
}

// A background refresh fails slowly, and the handler answers 401. The request
// must not wait for the provider twice.
func TestPromise03NobodyWaitsForTheProviderTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		defer closeWorld(t, w)
		h := w.Require(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { rw.WriteHeader(401) }))
		b := w.signIn(t, "ann")
		w.provider.set(func(p *provider) { p.delay = time.Hour })
		<-time.After(life - 5*time.Second)
		begin := time.Now()
		b.do(h, "GET", "/")
		if d := time.Since(begin); d > 5*time.Second {
			t.Errorf("waited %v", d)
		}
		<-time.After(time.Minute)
	})
}
