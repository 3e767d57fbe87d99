package middleware_test

import (
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
	"github.com/tokenlife/tokenlife/refresh"
)

// choosy answers 401 until it sees generation n of the access token, after the
// rest of what it does.
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

func TestARefreshAheadOfExpiryRunsBesideTheHandler(t *testing.T) {
	for _, tt := range []struct {
		name              string
		provider, handler time.Duration
		want              time.Duration
	}{
		{"a slow provider", time.Second, 0, time.Second},
		{"a slow handler", 0, 3 * time.Second, 3 * time.Second},
		{"both slow", 2 * time.Second, 3 * time.Second, 3 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				b := w.signIn(t, "ann")
				<-time.After(life - 2*time.Second)
				w.provider.set(func(p *provider) { p.delay = tt.provider })
				begin := time.Now()
				res := b.do(w.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					token, _ := middleware.FromContext(r.Context())
					if time.Since(begin) != 0 || !strings.Contains(token.Raw, "~0~") {
						t.Errorf("the handler began after %v", time.Since(begin))
					}
					<-time.After(tt.handler)
					fmt.Fprint(w, token.Subject)
				})), "GET", "/")
				wantStatus(t, res, 200)
				wantCookies(t, res, 3)
				if took := time.Since(begin); took != tt.want {
					t.Errorf("it took %v, want %v: nobody waits for both in turn", took, tt.want)
				}
				w.provider.expect(t, 1, 0)
				closeWorld(t, w)
			})
		})
	}
}

func TestAProviderThatHangsSlowsOneRequestInAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		b := w.signIn(t, "ann")
		<-time.After(life - 12*time.Second)
		w.provider.set(func(p *provider) { p.delay = time.Hour })
		slow := 0
		for range 8 {
			begin := time.Now()
			wantStatus(t, b.do(w.Require(whoami), "GET", "/"), 200)
			if time.Since(begin) > 0 {
				slow++
			}
			<-time.After(time.Second / 2)
		}
		if slow != 1 {
			t.Errorf("%d of 8 requests with a good token waited for the provider", slow)
		}
		closeWorld(t, w)
	})
}

func TestAClientThatLeavesDuringAnEarlyRefreshLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		b := w.signIn(t, "ann")
		<-time.After(life - 2*time.Second)
		w.provider.set(func(p *provider) { p.delay = time.Second })
		func() {
			defer func() {
				if err, _ := recover().(error); !errors.Is(err, http.ErrAbortHandler) {
					t.Errorf("recovered %v", err)
				}
			}()
			b.do(w.Require(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })), "GET", "/")
		}()
		<-time.After(time.Hour)
		w.provider.set(func(p *provider) { p.delay = 0 })
		wantStatus(t, b.do(w.Require(whoami), "GET", "/"), 200)
		if w.provider.reuse > 0 {
			t.Error("a refresh token was used twice")
		}
		closeWorld(t, w)
	})
}

func TestRenewKeepsALoginAliveForAHandlerThatVerifiesByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(func(a *middleware.Auth) { a.ForwardToken = true })
		b := w.signIn(t, "ann")
		own := func(rw http.ResponseWriter, r *http.Request) {
			if _, ok := middleware.FromContext(r.Context()); ok {
				t.Error("the handler has a token from us")
			}
			raw := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
			if c, err := r.Cookie("__Host-accessToken"); err == nil && raw != "" && c.Value != raw {
				t.Error("the cookie and the header differ")
			}
			token, err := w.checker.Verify(r.Context(), raw)
			if err != nil || strings.Contains(raw, "~2~") && r.URL.Path == "/revoked" {
				rw.WriteHeader(http.StatusUnauthorized)
				return
			}
			fmt.Fprint(rw, token.Subject)
		}
		h := w.Renew(http.HandlerFunc(own))
		for range 3 {
			res := b.do(h, "GET", "/")
			if got := body(t, res); got != "ann" {
				t.Errorf("%d %q", res.StatusCode, got)
			}
		}
		w.provider.expect(t, 0, 0)
		<-time.After(46 * time.Second) // the marker has gone
		res := b.do(h, "GET", "/")
		wantStatus(t, res, 200)
		wantCookies(t, res, 3)
		w.provider.expect(t, 1, 0)
		b.jar["tokenLife"] = stored{value: "946684800.AAAAAAAA"} // its time has passed
		wantStatus(t, b.do(h, "GET", "/"), 200)
		w.provider.expect(t, 2, 0)
		<-time.After(20 * time.Second)
		wantStatus(t, b.do(h, "GET", "/revoked"), 200) // after a 401
		w.provider.expect(t, 3, 0)

		r := httptest.NewRequest("GET", "https://app.test/", nil)
		wantStatus(t, serve(h, r), 401) // nobody, said by the handler
		r.Header.Set("Authorization", "Bearer "+accessToken("bob", 0, time.Now()))
		if got := body(t, serve(h, r)); got != "bob" {
			t.Errorf("got %q", got)
		}
		<-time.After(life)
		res = b.do(h, "POST", "/", "Sec-Fetch-Site", "cross-site")
		wantStatus(t, res, 401)
		w.provider.expect(t, 3, 0)
		w.provider.set(func(p *provider) { p.err = fmt.Errorf("%w: test", refresh.ErrDenied) })
		res = b.do(h, "GET", "/")
		if b.get("tokenLife") != "0" || b.get("__Host-refreshToken") != "" {
			t.Errorf("%d, %v", res.StatusCode, b.jar)
		}
		closeWorld(t, w)
	})
}

// A handler that takes a token in the header for the client's own word must not
// get it for what another site's page has sent.
func TestRenewGivesRequestsOfAnotherOriginNothing(t *testing.T) {
	tests := []struct {
		name    string
		method  string
		headers []string
		runs    int
		token   bool
	}{
		{"a form", "POST", []string{"Sec-Fetch-Site", "cross-site"}, 1, false},
		{"a script of a neighbour", "DELETE", []string{"Sec-Fetch-Site", "same-site"}, 1, false},
		{"a form, told by its Origin", "POST", []string{"Origin", "https://other.test"}, 1, false},
		{"a WebSocket handshake", "GET", []string{"Sec-Fetch-Site", "cross-site", "Connection", "Upgrade", "Upgrade", "websocket"}, 1, false},
		{"a link", "GET", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, 2, true},
		{"a form of the site's own", "POST", []string{"Sec-Fetch-Site", "same-origin"}, 2, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, age := range []time.Duration{life / 2, life} {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(func(a *middleware.Auth) { a.ForwardToken = true })
					b := w.signIn(t, "ann")
					<-time.After(age)
					runs := 0
					res := b.do(w.Renew(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
						runs++
						if got := r.Header.Get("Authorization") != ""; got != tt.token {
							t.Errorf("run %d: a token in the header: %v, want %v", runs, got, tt.token)
						}
						rw.Header().Set("WWW-Authenticate", "Bearer")
						rw.WriteHeader(http.StatusUnauthorized)
					})), tt.method, "/", tt.headers...)
					want := tt.runs
					if age == life {
						want = 1 // it has been refreshed before
					}
					calls := 0
					if tt.token {
						calls = 1
					}
					if runs != want || len(res.Cookies()) != 3*calls {
						t.Errorf("%v: run %d times, with %d cookies in the answer, want %d and %d", age, runs, len(res.Cookies()), want, 3*calls)
					}
					w.provider.expect(t, calls, 0)
					closeWorld(t, w)
				})
			}
		})
	}
}

func TestALoginThatIsOverGetsNoLeeway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.checker.leeway = 30 * time.Second
		b := w.signIn(t, "ann")
		<-time.After(life + 10*time.Second)
		w.provider.set(func(p *provider) { p.err = errors.New("test: down") })
		wantStatus(t, b.do(w.Require(whoami), "GET", "/"), 200)
		<-time.After(5 * time.Second) // the next one to ask
		w.provider.set(func(p *provider) { p.err = fmt.Errorf("%w: test", refresh.ErrDenied) })
		wantStatus(t, b.do(w.Require(whoami), "GET", "/"), 401)
		closeWorld(t, w)
	})
}
