// Package middlewaretest has what it takes to test handlers that stand behind
// package middleware.
//
// A handler that asks for its user needs no login and no server, only a context,
// which [NewContext] makes of claims. A test of the whole, with its Auth, puts a
// [Provider] in the place of the real one: it is both what verifies and what
// refreshes. A handler, and both kinds of test:
//
//	package site
//
//	import (
//		"fmt"
//		"net/http"
//		"net/http/httptest"
//		"testing"
//
//		"github.com/tokenlife/tokenlife/middleware"
//		"github.com/tokenlife/tokenlife/middleware/middlewaretest"
//	)
//
//	func hello(w http.ResponseWriter, r *http.Request) {
//		token, _ := middleware.FromContext(r.Context())
//		fmt.Fprintln(w, "hello", token.Subject)
//	}
//
//	func TestHelloGreetsByName(t *testing.T) {
//		ctx := middlewaretest.NewContext(t.Context(), map[string]any{"sub": "ann"})
//		w := httptest.NewRecorder()
//		hello(w, httptest.NewRequest("GET", "/", nil).WithContext(ctx))
//		if got := w.Body.String(); got != "hello ann\n" {
//			t.Error(got)
//		}
//	}
//
//	func TestHelloIsForThoseWhoMayRead(t *testing.T) {
//		p := middlewaretest.NewProvider(t)
//		auth := &middleware.Auth{Verifier: p, Refresher: p}
//		defer auth.Close()
//		site := auth.RequireScope("read")(http.HandlerFunc(hello))
//
//		for scope, want := range map[string]int{"read": http.StatusOK, "write": http.StatusForbidden} {
//			r := httptest.NewRequest("GET", "/", nil)
//			middlewaretest.SignIn(auth, r, p.Login(map[string]any{"sub": "ann", "scope": scope}))
//			w := httptest.NewRecorder()
//			site.ServeHTTP(w, r)
//			if w.Code != want {
//				t.Errorf("with the scope %s: %d, want %d", scope, w.Code, want)
//			}
//		}
//	}
//
// Nothing in it needs a socket or the wall clock, so it works in a bubble of
// testing/synctest: there a test can sleep until an access token has ended, and
// see the login live on.
package middlewaretest
