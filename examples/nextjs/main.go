// Command nextjs shows a Next.js app whose logins Go keeps alive, in two ways at
// once: behind the gateway, and on its own origin with the API beside it.
// README.md tells them apart and says what to copy.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

func main() {
	var c config
	flag.StringVar(&c.gateway, "gateway", "127.0.0.1:8080", "`address` of the gateway in front of Next.js")
	flag.StringVar(&c.next, "next", "localhost:3000", "`address` of Next.js itself; with another host name than the gateway's, or they get each other's cookies")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	if err := run(ctx, c, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run starts everything and waits until ctx ends or a part does.
func run(ctx context.Context, c config, stdout io.Writer) error {
	c.log = stdout
	c.provider = &refreshtest.Provider{AccessLife: 20 * time.Second}
	c.providerHandler = signInPage(c.provider)
	s, err := start(ctx, c)
	if err == nil {
		fmt.Fprintf(stdout, welcome, s.gatewayURL, s.nextURL)
		<-s.ctx.Done()
		err = context.Cause(s.ctx)
		s.close()
	}
	if ctx.Err() != nil {
		return nil // the parts may have got the same signal, and ended first
	}
	return err
}

const welcome = `
One Next.js app, two ways in (Ctrl-C ends it all):

  %-24s the gateway is in front, and Next has no part in the login
  %-24s Next is in front, and proxy.js renews the login

Sign in with any name. The access token lives 20 seconds. Let it end, and then
reload, follow a link, or add a note: the page comes with your name on it.
`
