package middleware_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
)

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
