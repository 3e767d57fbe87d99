// Command spa is a single-page app and its API: the page calls by the fetch of
// tokenlife.js, and a panel shows what that does.
//
// Its refresh token is sent to /auth alone. The API sees access tokens and
// nothing else, as one that runs somewhere else would, and it is the page that
// keeps the login alive: once for all its calls and tabs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/tokenlife/tokenlife/refresh/local"
)

func main() {
	listen := flag.String("listen", "localhost:8080", "`address` to listen on, as host:port")
	life := flag.Duration("life", 20*time.Second, "how long an access token lives, in whole seconds")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	if err := run(ctx, *listen, *life, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run serves the app until ctx ends, and then finishes what is under way.
func run(ctx context.Context, listen string, life time.Duration, stdout io.Writer) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	if err != nil {
		return fmt.Errorf("spa: %w; choose another address with -listen", err)
	}
	defer listener.Close()
	site, err := newSite(&local.Issuer{
		URL:      "https://issuer.example", // a name; nobody calls it
		Audience: []string{"spa"},
		Life:     life,
	})
	if err != nil {
		return fmt.Errorf("spa: %w", err)
	}
	defer site.Close()

	_, port, _ := net.SplitHostPort(listener.Addr().String())
	fmt.Fprintf(stdout, "The app is at http://localhost:%s (Ctrl-C ends it). Its access tokens live %v.\n", port, life)
	server := &http.Server{Handler: site, ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("spa: %w", err)
	case <-ctx.Done():
	}
	draining, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(draining); err != nil {
		return fmt.Errorf("spa: requests cut off: %w", errors.Join(err, server.Close()))
	}
	return nil
}
