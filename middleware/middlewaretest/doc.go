// Package middlewaretest has what it takes to test handlers that stand behind
// package middleware.
//
// A handler that asks for its user needs no login and no server, only a context:
//
//	func TestHello(t *testing.T) {
//		ctx := middlewaretest.NewContext(t.Context(), map[string]any{"sub": "ann"})
//		w := httptest.NewRecorder()
//		hello(w, httptest.NewRequest("GET", "/", nil).WithContext(ctx))
//		if w.Body.String() != "hello ann\n" {
//			t.Error(w.Body)
//		}
//	}
//
// A test of the whole, with its Auth, puts a [Provider] in the place of the real
// one. It is both what verifies and what refreshes:
//
//	func TestSite(t *testing.T) {
//		p := middlewaretest.NewProvider(t)
//		auth := &middleware.Auth{Verifier: p, Refresher: p}
//		defer auth.Close()
//		site := newSite(auth) // your own
//
//		r := httptest.NewRequest("GET", "/", nil)
//		middlewaretest.SignIn(auth, r, p.Login(map[string]any{"sub": "ann", "scope": "read"}))
//		w := httptest.NewRecorder()
//		site.ServeHTTP(w, r)
//		// …
//	}
//
// Nothing in it needs a socket or the wall clock, so it works in a bubble of
// testing/synctest: there a test can sleep until an access token has ended, and
// see the login live on.
package middlewaretest
