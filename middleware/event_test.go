package middleware_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/event"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// told returns what has been observed since the last call, a line an event.
func (w *world) told() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var lines []string
	for _, e := range w.events {
		if e.Kind == event.ProviderCalled { // told by a goroutine of no request
			continue
		}
		var line bytes.Buffer
		log := slog.New(slog.NewTextHandler(&line, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			switch a.Key {
			case slog.TimeKey, "error", "issuer":
				return slog.Attr{}
			}
			return a
		}}))
		log.LogAttrs(context.Background(), e.Level, string(e.Kind), slog.Any("", e))
		lines = append(lines, strings.TrimSpace(line.String()))
	}
	w.events = nil
	return lines
}

func TestEventsTellWhatHasHappened(t *testing.T) {
	const (
		verified    = "level=DEBUG msg=verified subject=ann"
		unavailable = "level=WARN msg=refused reason=unavailable"
	)
	ann := func(b *browser) { b.jar["__Host-accessToken"] = stored{value: "made-up"} }
	tests := []struct {
		name string
		set  func(w *world)
		ask  func(w *world, b *browser)
		want []string
	}{
		{"a good token", nil, func(w *world, b *browser) {
			b.do(w.Require(whoami), "GET", "/")
		}, []string{verified}},
		{"a good token in the header", nil, func(w *world, b *browser) {
			serve(w.Require(whoami), bearer(accessToken("ann", 0, time.Now())))
		}, []string{"level=DEBUG msg=verified bearer=true subject=ann"}},
		{"a good token, checked without a handler", nil, func(w *world, b *browser) {
			_, _ = w.Check(httptest.NewRecorder(), b.request("GET", "/"))
		}, []string{verified}},
		{"no login where none is needed", nil, func(w *world, b *browser) {
			serve(w.Optional(whoami), httptest.NewRequest("GET", "/", nil))
		}, nil},
		{"no login where one is", nil, func(w *world, b *browser) {
			serve(w.Require(whoami), httptest.NewRequest("GET", "/", nil))
		}, []string{"level=DEBUG msg=refused reason=no_token"}},
		{"no login, checked without a handler", nil, func(w *world, b *browser) {
			_, _ = w.Check(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
		}, []string{"level=DEBUG msg=refused reason=no_token"}},
		{"a malformed header", nil, func(w *world, b *browser) {
			b.do(w.Require(whoami), "GET", "/", "Authorization", "Bearer a b")
		}, []string{"level=DEBUG msg=refused reason=malformed"}},
		{"a token that was never good", nil, func(w *world, b *browser) {
			b.do(w.Require(whoami), "GET", "/", "Authorization", "Bearer made-up")
		}, []string{"level=DEBUG msg=refused reason=invalid"}},
		{"an expired token in the header", nil, func(w *world, b *browser) {
			r := bearer(accessToken("ann", 0, time.Now()))
			<-time.After(life)
			serve(w.Require(whoami), r)
		}, []string{"level=DEBUG msg=refused reason=expired"}},
		{"a form of another origin", nil, func(w *world, b *browser) {
			b.do(w.Require(whoami), "POST", "/", "Sec-Fetch-Site", "cross-site")
		}, []string{"level=DEBUG msg=refused reason=cross_origin"}},
		{"a scope that is missing", nil, func(w *world, b *browser) {
			b.do(w.RequireScope("admin")(whoami), "GET", "/")
		}, []string{"level=DEBUG msg=refused reason=scope"}},
		{"a group that is missing", nil, func(w *world, b *browser) {
			b.do(w.RequireGroup("admins")(whoami), "GET", "/")
		}, []string{"level=DEBUG msg=refused reason=group"}},
		{"keys that are out of reach", nil, func(w *world, b *browser) {
			w.checker.down.Store(true)
			serve(w.Require(whoami), bearer(accessToken("ann", 0, time.Now())))
		}, []string{unavailable}},
		{"a revoked token", func(w *world) { w.Revocations = &middleware.Revocations{Store: new(refresh.MemoryStore)} }, func(w *world, b *browser) {
			r := bearer(accessToken("ann", 0, time.Now()))
			<-time.After(2 * time.Second)
			_ = w.Revocations.RevokeSubject(r.Context(), "https://issuer.test", "ann", time.Now())
			serve(w.Require(whoami), r)
		}, []string{"level=DEBUG msg=refused reason=revoked"}},
		{"a store of revocations that is down", func(w *world) { w.Revocations = &middleware.Revocations{Store: new(refreshtest.FaultyStore)} }, func(w *world, b *browser) {
			w.Revocations.Store.(*refreshtest.FaultyStore).SetDown(true)
			serve(w.Require(whoami), bearer(accessToken("bob", 0, time.Now())))
		}, []string{"level=WARN msg=revocations_failed", "level=DEBUG msg=verified bearer=true subject=bob"}},

		{"an expired token in a cookie", nil, func(w *world, b *browser) {
			<-time.After(life)
			b.do(w.Require(whoami), "GET", "/")
		}, []string{"level=DEBUG msg=refreshed cause=expired took_ms=50 subject=ann", verified}},
		{"the same once more, for a browser that did not get the answer", nil, func(w *world, b *browser) {
			<-time.After(life)
			b.do(w.Require(whoami), "GET", "/")
			w.told()
			away := &browser{jar: map[string]stored{}}
			away.jar["__Host-accessToken"] = stored{value: accessToken("ann", 0, time.Now().Add(-2*life))}
			away.jar["__Host-refreshToken"] = stored{value: "ann~0~refresh-token"}
			away.do(w.Require(whoami), "GET", "/")
		}, []string{"level=DEBUG msg=refreshed cause=expired took_ms=0 remembered=true subject=ann", verified}},
		{"a refresh token alone", nil, func(w *world, b *browser) {
			delete(b.jar, "__Host-accessToken")
			b.do(w.Require(whoami), "GET", "/")
		}, []string{"level=DEBUG msg=refreshed cause=absent took_ms=50 subject=ann", verified}},
		{"a made-up token beside a refresh token", nil, func(w *world, b *browser) {
			ann(b)
			b.do(w.Require(whoami), "GET", "/")
		}, []string{"level=DEBUG msg=refreshed cause=invalid took_ms=50 subject=ann", verified}},
		{"a token that is about to expire", nil, func(w *world, b *browser) {
			<-time.After(life - 5*time.Second)
			b.do(w.Require(slowly), "GET", "/")
		}, []string{verified, "level=DEBUG msg=refreshed cause=due took_ms=50 subject=ann"}},
		{"a script that asks", nil, func(w *world, b *browser) {
			b.do(w.RefreshHandler(), "POST", "/")
		}, []string{"level=DEBUG msg=refreshed cause=asked took_ms=50 subject=ann"}},
		{"a marker whose time has passed", nil, func(w *world, b *browser) {
			<-time.After(life)
			b.do(w.KeepAlive(whoami), "GET", "/")
		}, []string{"level=DEBUG msg=refreshed cause=marker took_ms=50 subject=ann"}},
		{"a handler that answers 401", nil, func(w *world, b *browser) {
			<-time.After(life / 2)
			refused := false
			b.do(w.Require(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if !refused {
					refused = true
					rw.WriteHeader(http.StatusUnauthorized)
				}
			})), "GET", "/")
		}, []string{verified, "level=DEBUG msg=refreshed cause=answer took_ms=50 subject=ann", "level=DEBUG msg=replayed subject=ann"}},
		{"a provider that is down", func(w *world) { w.provider.err = errors.New("test: down") }, func(w *world, b *browser) {
			<-time.After(life)
			b.do(w.Require(whoami), "GET", "/")
		}, []string{"level=INFO msg=refresh_failed cause=expired took_ms=50 subject=ann unverified=true", unavailable}},
		{"a client that does not wait", nil, func(w *world, b *browser) {
			<-time.After(life)
			r := b.request("GET", "/")
			ctx, hangUp := context.WithCancel(r.Context())
			time.AfterFunc(10*time.Millisecond, hangUp)
			serve(w.Require(whoami), r.WithContext(ctx))
		}, []string{"level=DEBUG msg=refresh_failed cause=expired took_ms=10 subject=ann unverified=true", "level=DEBUG msg=refused reason=canceled"}},
		{"a provider that has ended the login", func(w *world) { w.provider.err = fmt.Errorf("%w: test", refresh.ErrDenied) }, func(w *world, b *browser) {
			<-time.After(life)
			b.do(w.Require(whoami), "GET", "/")
		}, []string{"level=INFO msg=ended cause=expired took_ms=50 subject=ann unverified=true", "level=DEBUG msg=refused reason=login_over"}},
		{"a provider that mixes users up", func(w *world) { w.provider.as = "bob" }, func(w *world, b *browser) {
			<-time.After(life)
			b.do(w.Require(whoami), "GET", "/")
		}, []string{"level=ERROR msg=other_subject cause=expired took_ms=50 subject=ann unverified=true", "level=DEBUG msg=refused reason=other_subject"}},
		{"tokens that fit into no cookie", func(w *world) { w.provider.pad = strings.Repeat("x", 1<<16) }, func(w *world, b *browser) {
			<-time.After(life)
			b.do(w.Require(whoami), "GET", "/")
		}, []string{"level=DEBUG msg=refreshed cause=expired took_ms=50 subject=ann", verified, "level=ERROR msg=cookies_failed"}},
		{"a sign-out", nil, func(w *world, b *browser) {
			b.do(w.Logout(nil), "POST", "/")
		}, []string{"level=INFO msg=signed_out subject=ann"}},
		{"a sign-out that the provider could not be told", func(w *world) { w.provider.revoking = errors.New("test: down") }, func(w *world, b *browser) {
			b.do(w.Logout(nil), "POST", "/")
		}, []string{"level=WARN msg=signed_out subject=ann"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				if tt.set != nil {
					tt.set(w)
				}
				w.provider.set(func(p *provider) { p.delay = 50 * time.Millisecond })
				b := w.signIn(t, "ann")
				if got, want := w.told(), []string{"level=INFO msg=signed_in subject=ann"}; !slices.Equal(got, want) {
					t.Errorf("told %q, want %q", got, want)
				}
				tt.ask(w, b)
				closeWorld(t, w)
				if got := w.told(); !slices.Equal(got, tt.want) {
					t.Errorf("told\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
				}
			})
		})
	}
}

// slowly is a handler that takes longer than a background refresh.
var slowly = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-time.After(time.Second) })

// Without an Observe, events cost nothing. With one, they cost no memory.
func TestEventsCostNoMemory(t *testing.T) {
	allocs := func(observe func(context.Context, event.Event)) float64 {
		w := newWorld(func(a *middleware.Auth) { a.Observe = observe })
		h, r := w.Require(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})), bearer(accessToken("ann", 0, time.Now()))
		return testing.AllocsPerRun(100, func() { h.ServeHTTP(nil, r) })
	}
	events := 0
	without, with := allocs(nil), allocs(func(context.Context, event.Event) { events++ })
	if with != without || events == 0 {
		t.Errorf("%v allocations a request with Observe, %v without; %d events", with, without, events)
	}
}

// Observe and OnError never get a piece of a token.
func TestPromise11Silence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		w := newWorld(func(a *middleware.Auth) {
			a.OnError = func(w http.ResponseWriter, r *http.Request, err error) {
				told = append(told, fmt.Sprintf("%v %+v %#v", err, err, err))
				for e := err; e != nil; e = errors.Unwrap(e) {
					told = append(told, fmt.Sprintf("%T %v %+v", e, e, e))
				}
				middleware.WriteError(w, r, err)
			}
		})
		secrets := []string{"access-token-of-ann", "ann~0~refresh-token", "ann~1~refresh-token", "made-up-token-made-up"}
		b := w.signIn(t, "ann")
		h := w.Require(whoami)
		for _, err := range []error{nil, errors.New("test: down"), fmt.Errorf("%w: test", refresh.ErrDenied)} {
			<-time.After(life)
			w.provider.set(func(p *provider) { p.err = err })
			b.do(h, "GET", "/")
			b.do(w.RefreshHandler(), "POST", "/")
		}
		for _, header := range []string{"Bearer made-up-token-made-up", "Bearer made-up-token-made-up\x00", "Bearer " + accessToken("ann", 0, time.Time{})} {
			r := httptest.NewRequest("GET", "/", nil)
			r.Header.Set("Authorization", header)
			serve(h, r)
			r.Header.Del("Authorization")
			r.Header.Set("Cookie", "__Host-accessToken=made-up-token-made-up; __Host-refreshToken=made-up-token-made-up; __Host-refreshToken=x")
			serve(h, r)
		}
		b.do(w.Logout(nil), "POST", "/")
		for _, e := range w.events {
			told = append(told, fmt.Sprintf("%v %+v %#v %v", e, e, e, e.Err))
		}
		if len(told) < 20 {
			t.Fatalf("only %d things were told", len(told))
		}
		for _, s := range told {
			for _, secret := range secrets {
				for i := 0; i+12 <= len(secret); i++ {
					if strings.Contains(s, secret[i:i+12]) {
						t.Fatalf("told %q, which has a piece of %q", s, secret)
					}
				}
			}
		}
		closeWorld(t, w)
	})
}
