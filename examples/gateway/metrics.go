package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tokenlife/tokenlife/examples/observe/prom"
)

// metrics are what Prometheus gets at an address of their own: whoever can reach
// that can read them. A nil one serves nothing.
type metrics struct {
	*prom.Metrics
	registry *prometheus.Registry
	address  string
}

// newMetrics returns nil if there is no address.
func newMetrics(address string) (*metrics, error) {
	if address == "" {
		return nil, nil
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister( // the first ones of a registry cannot be there already
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	counted, err := prom.New(registry)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	return &metrics{counted, registry, address}, nil
}

// serve serves GET /metrics until stop is called, which lets a scrape finish.
func (m *metrics) serve(ctx context.Context, log *slog.Logger) (stop func(), err error) {
	if m == nil {
		return func() {}, nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", m.address)
	if err != nil {
		return nil, fmt.Errorf("gateway: METRICS_LISTEN: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	srv := &http.Server{
		Handler:     mux,
		ErrorLog:    slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 16 << 10,
	}
	log.Info("metrics", "address", listener.Addr().String())
	var serving sync.WaitGroup
	serving.Go(func() { _ = srv.Serve(listener) }) // until it is shut down
	return func() {
		draining, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if srv.Shutdown(draining) != nil {
			_ = srv.Close()
		}
		serving.Wait()
	}, nil
}
