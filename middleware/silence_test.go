package middleware_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/refresh"
)

// Whatever happens, what Observe and OnError are told holds no piece of a token.
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
			b.do(w.Refresh(), "POST", "/")
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
