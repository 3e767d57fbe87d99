package prom_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tokenlife/tokenlife/examples/observe/prom"
	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/verify"
)

func ExampleNew() {
	registry := prometheus.NewRegistry()
	metrics, err := prom.New(registry)
	if err != nil {
		fmt.Println(err)
		return
	}
	tokens := middleware.VerifierFunc(func(_ context.Context, raw string) (*verify.Token, error) {
		if raw != "good" {
			return nil, fmt.Errorf("%w: not the word", verify.ErrInvalid)
		}
		return &verify.Token{Subject: "ann"}, nil
	})
	auth := &middleware.Auth{Verifier: tokens, Observe: metrics.Observe}
	handler := auth.Require(http.NotFoundHandler())

	for _, token := range []string{"good", "bad", "good"} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		handler.ServeHTTP(httptest.NewRecorder(), r)
	}

	w := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, "tokenlife_requests_") && !strings.HasSuffix(line, " 0\n") {
			fmt.Print(line)
		}
	}
	// Output:
	// tokenlife_requests_refused_total{reason="invalid"} 1
	// tokenlife_requests_verified_total{credential="header"} 2
}
