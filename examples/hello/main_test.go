package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/middlewaretest"
)

func TestHello(t *testing.T) {
	ctx := middlewaretest.NewContext(t.Context(), map[string]any{"sub": "ann"})
	w := httptest.NewRecorder()
	hello(w, httptest.NewRequest("GET", "/", nil).WithContext(ctx))
	if got := w.Body.String(); got != "hello ann\n" {
		t.Errorf("got %q", got)
	}
}

func TestHelloIsForThoseWhoAreSignedIn(t *testing.T) {
	p := middlewaretest.NewProvider(t)
	auth := &middleware.Auth{Verifier: p, Refresher: p}
	site := auth.Require(http.HandlerFunc(hello))
	for header, want := range map[string]int{"": 401, "Bearer " + p.Token(map[string]any{"sub": "ann"}): 200} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", header)
		w := httptest.NewRecorder()
		site.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("answered %d, want %d", w.Code, want)
		}
	}
}
