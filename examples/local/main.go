// Command local is a server with users of its own: registration, login, refresh,
// logout and a list of the devices that a user is signed in on, in one SQLite
// file.
//
// It is made to be copied. site.go is the wiring; each of the other files is one
// idea, and knows little of the rest.
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
)

func main() {
	listen := flag.String("listen", "localhost:8080", "`address` to listen on, as host:port")
	file := flag.String("db", "local.db", "SQLite `file` of the users and their logins")
	life := flag.Duration("life", time.Minute, "life of an access token")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	if err := run(ctx, *listen, *file, *life, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "local:", err)
		os.Exit(1)
	}
}

// run serves the site until ctx ends, and then finishes what is under way.
func run(ctx context.Context, listen, file string, life time.Duration, stdout io.Writer) error {
	site, err := newSite(ctx, file, life)
	if err != nil {
		return err
	}
	defer site.Close()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	if err != nil {
		return fmt.Errorf("%w; choose another address with -listen", err)
	}
	defer listener.Close()
	fmt.Fprintf(stdout, "The site is at http://%s (Ctrl-C ends it).\n", listener.Addr())

	server := &http.Server{
		Handler:           site,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	draining, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := server.Shutdown(draining); err != nil {
		return fmt.Errorf("requests cut off: %w", errors.Join(err, server.Close()))
	}
	return nil
}
