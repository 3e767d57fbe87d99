// Command quickstart is a site whose access tokens live 20 seconds and whose
// logins do not: sign in with any name and watch the login live on, in as many
// tabs as you like.
//
// It is made to be copied: newSite in site.go is the whole wiring. Real programs
// replace the local issuer by their provider (see package login), and 20 seconds
// by what the provider says.
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
	"strconv"
	"syscall"
	"time"

	"github.com/tokenlife/tokenlife/refresh/local"
)

func main() {
	listen := flag.String("listen", "localhost:8080", "`address` to listen on, as host:port")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	if err := run(ctx, *listen, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run serves the site until ctx ends, and then finishes what is under way.
func run(ctx context.Context, listen string, stdout io.Writer) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	if err != nil {
		return fmt.Errorf("quickstart: %w; choose another address with -listen", err)
	}
	defer listener.Close()
	site, err := newSite(&local.Issuer{
		URL:      "https://issuer.example", // a name; nobody calls it
		Audience: []string{"quickstart"},
		Life:     20 * time.Second,
	})
	if err != nil {
		return fmt.Errorf("quickstart: %w", err)
	}
	defer site.Close()

	fmt.Fprintf(stdout, welcome, address(listen, listener.Addr()))
	server := &http.Server{Handler: site, ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("quickstart: %w", err)
	case <-ctx.Done():
	}
	fmt.Fprintln(stdout, "Good bye.")
	draining, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(draining); err != nil {
		return fmt.Errorf("quickstart: requests cut off: %w", errors.Join(err, server.Close()))
	}
	return nil
}

// address is what to type into a browser: the host that was asked for, because
// cookies and the browser's trust belong to that name, and the port that was got.
func address(listen string, got net.Addr) string {
	host, _, _ := net.SplitHostPort(listen) // it has been listened on
	port := 0
	if tcp, ok := got.(*net.TCPAddr); ok {
		port = tcp.Port
	}
	if ip := net.ParseIP(host); host == "" || ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(port))
}

const welcome = `The quick start is at %[1]s (Ctrl-C ends it).

What to try:
  1. Sign in with any name, and watch the marker count down and the login live
     on past the first, second and third end of its access token.
  2. Open more tabs: one of them renews the login, and all go on with it.
  3. Untick "Call every second", wait half a minute until the token has ended,
     and press "Ten calls at once": ten answers, one renewal.
  4. Type document.cookie into the browser's console: there is the marker, and
     no token.
  5. Sign out in one tab, and look at the others.
  6. Without a login the API answers 401: curl -i %[1]s/api/hello

Some versions of Safari take these cookies over https only; elsewhere, http on
localhost will do. For those set Cookies: cookies.Policy{InsecureHTTP: true} in site.go.
`
