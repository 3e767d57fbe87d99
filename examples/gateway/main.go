// Command gateway puts a login in front of a web server: it signs users in at an
// OpenID Connect provider, keeps their login alive in cookies, and passes their
// requests on with the access token as Authorization: Bearer.
//
// It is configured by its environment; README.md lists the variables.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	if err := run(ctx, os.Getenv, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// drainTime is how long requests under way may take after a signal to stop.
const drainTime = 30 * time.Second

// run is the whole program: it serves until ctx ends, and then finishes what is
// under way. It writes its log to stderr.
func run(ctx context.Context, getenv func(string) string, stderr io.Writer) error {
	c, err := readConfig(getenv)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: c.logLevel}))
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", c.listen)
	if err != nil {
		return fmt.Errorf("gateway: LISTEN: %w", err)
	}
	defer listener.Close()
	if err := c.settlePublicURL(listener.Addr()); err != nil {
		return err
	}
	g, err := newGateway(c, log)
	if err != nil {
		return err
	}
	defer g.close()
	stopMetrics, err := g.metrics.serve(ctx, log)
	if err != nil {
		return err
	}
	defer stopMetrics()
	if c.madeKeys {
		log.Warn("COOKIE_KEYS is empty: a restart will end all logins, and replicas cannot share them")
	}

	var background sync.WaitGroup
	defer background.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	background.Go(func() { g.tryDiscovery(ctx) })

	// Joined connections (WebSocket) are not the server's any more, and end with
	// this context.
	serving, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	srv := &http.Server{
		BaseContext: func(net.Listener) context.Context { return serving },
		Handler:     g.handler(),
		ErrorLog:    slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		TLSConfig:   c.tls,
		// Bodies in either direction may take as long as they like: downloads,
		// events, long polls. Headers and idle connections may not.
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
	log.Info("listening", "address", listener.Addr().String(), "public_url", c.publicURL)

	served := make(chan error, 1)
	go func() {
		if c.tls != nil {
			served <- srv.ServeTLS(listener, "", "")
			return
		}
		served <- srv.Serve(listener)
	}()
	select {
	case err := <-served:
		return fmt.Errorf("gateway: %w", err)
	case <-ctx.Done():
	}

	log.Info("stopping")
	draining, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	if err := srv.Shutdown(draining); err != nil {
		log.Warn("requests are cut off", "after", drainTime.String())
		_ = srv.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("gateway: %w", err)
	}
	return nil
}
