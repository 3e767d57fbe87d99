// Command cognito is a small site whose users are those of an Amazon Cognito
// user pool: they sign in on the pool's hosted page or in a form of the site's
// own, stay signed in, see a page for members of a group, and sign out.
//
// README.md says what to set in the AWS console, and what in the environment.
// With -local it starts an emulator of Cognito, and needs neither.
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

	"github.com/tokenlife/tokenlife/examples/internal/cognitolocal"
)

func main() {
	local := flag.Bool("local", false, "use a user pool on this machine (npm package cognito-local)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	if err := run(ctx, os.Getenv, *local, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run serves the site until ctx ends, and then finishes what is under way.
func run(ctx context.Context, getenv func(string) string, local bool, stdout io.Writer) error {
	c, err := readConfig(getenv, local)
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", c.listen)
	if err != nil {
		return fmt.Errorf("cognito: LISTEN: %w", err)
	}
	defer listener.Close()
	if c.publicURL == "" {
		c.publicURL = address(c.listen, listener.Addr())
	}
	if local {
		pool, err := cognitolocal.Start(ctx, cognitolocal.Config{
			CallbackURLs: []string{c.publicURL + callbackPath},
			LogoutURLs:   []string{c.publicURL + "/"},
		})
		if err != nil {
			return fmt.Errorf("cognito: -local: %w", err)
		}
		defer pool.Close()
		c.poolID, c.clientID, c.domain, c.endpoint = pool.PoolID, pool.ClientID, pool.URL, pool.URL
		fmt.Fprintf(stdout, users, cognitolocal.Alice, cognitolocal.AlicePassword, cognitolocal.Bob, cognitolocal.BobPassword)
	}
	site, err := newSite(c)
	if err != nil {
		return fmt.Errorf("cognito: %w", err)
	}
	defer site.Close()

	fmt.Fprintf(stdout, "The site is at %s (Ctrl-C ends it).\n", c.publicURL)
	server := &http.Server{Handler: site, ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("cognito: %w", err)
	case <-ctx.Done():
	}
	fmt.Fprintln(stdout, "Good bye.")
	draining, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(draining); err != nil {
		return fmt.Errorf("cognito: requests cut off: %w", errors.Join(err, server.Close()))
	}
	return nil
}

const users = `A user pool has been started on this machine. Its users:
  %s with the password %s, of the group admins
  %s with the password %s
`
