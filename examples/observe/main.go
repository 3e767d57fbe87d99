// Command observe is a small site that tells all that happens to its logins, in
// three ways: as lines of a log, as metrics for Prometheus, and to OpenTelemetry.
//
// What to copy is the line of site.go with the Observe of the Auth, and of the
// packages prom and otelevents the one that fits.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"github.com/tokenlife/tokenlife/examples/observe/otelevents"
	"github.com/tokenlife/tokenlife/examples/observe/prom"
)

func main() {
	listen := cmp.Or(os.Getenv("LISTEN"), "localhost:8080")
	metrics := cmp.Or(os.Getenv("METRICS_LISTEN"), "localhost:9464")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	if err := run(ctx, listen, metrics, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run serves the site and its metrics until ctx ends. OpenTelemetry goes to
// stdout, and the log to stderr.
func run(ctx context.Context, listen, metrics string, stdout, stderr io.Writer) (err error) {
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))

	registry := prometheus.NewRegistry()
	counted, err := prom.New(registry)
	if err != nil {
		return err
	}
	telemetry, err := startTelemetry(stdout)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, telemetry.stop()) }()
	recorded, err := otelevents.New(telemetry.meters.Meter("github.com/tokenlife/tokenlife"))
	if err != nil {
		return err
	}
	site, err := newSite(log, counted, recorded)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, site.Close()) }()

	// Who can reach the metrics can read them: they have a port of their own.
	scraped := http.NewServeMux()
	scraped.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))

	atSite, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	if err != nil {
		return fmt.Errorf("observe: LISTEN: %w", err)
	}
	defer atSite.Close()
	atMetrics, err := new(net.ListenConfig).Listen(ctx, "tcp", metrics)
	if err != nil {
		return fmt.Errorf("observe: METRICS_LISTEN: %w", err)
	}
	defer atMetrics.Close()
	fmt.Fprintf(stderr, "The site is at http://%s, and its metrics are at http://%s/metrics (Ctrl-C ends both).\n", listen, metrics)
	servers, ctx := errgroup.WithContext(ctx)
	servers.Go(func() error { return serve(ctx, atSite, telemetry.traced(site)) })
	servers.Go(func() error { return serve(ctx, atMetrics, scraped) })
	return servers.Wait()
}

// serve serves until ctx ends, and then finishes what is under way.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	stopped := make(chan error, 1)
	context.AfterFunc(ctx, func() {
		draining, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		stopped <- server.Shutdown(draining)
	})
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("observe: %w", err)
	}
	return <-stopped
}
