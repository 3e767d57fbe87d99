package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// A config is what a site is made of.
type config struct {
	gateway, next   string // addresses to listen on, as host:port
	provider        *refreshtest.Provider
	providerHandler http.Handler // provider, and what is around it
	log             io.Writer    // what the parts write; it must bear several writers at once
}

// A site is all that runs: the provider, the API, Next.js, and the gateway. They
// end together, as soon as one of them does.
type site struct {
	gatewayURL, nextURL string

	ctx    context.Context // ends with the first part, and says in its cause why
	cancel context.CancelCauseFunc
	parts  sync.WaitGroup
	api    *api
	dir    string // for the gateway's program
}

// start starts all parts, and returns when pages can be opened.
func start(ctx context.Context, c config) (_ *site, err error) {
	s := &site{gatewayURL: "http://" + c.gateway, nextURL: "http://" + c.next}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	defer func() {
		if err == nil {
			return
		}
		// What has ended is why another part could not be reached.
		if why := context.Cause(s.ctx); why != nil {
			err = why
		}
		s.close()
	}()
	if s.dir, err = os.MkdirTemp("", "nextjs-example"); err != nil {
		return nil, fmt.Errorf("nextjs: %w", err)
	}

	providers, err := listen(s.ctx)
	if err != nil {
		return nil, err
	}
	apis, err := listen(s.ctx)
	if err != nil {
		return nil, err
	}
	c.provider.Issuer = "http://" + providers.Addr().String()
	s.serve("the provider", providers, c.providerHandler)
	if s.api, err = newAPI(c.provider.Issuer, s.nextURL); err != nil {
		return nil, err
	}
	s.serve("the API", apis, s.api)

	web, err := buildWeb(s.ctx, "http://"+apis.Addr().String(), c.log)
	if err != nil {
		return nil, err
	}
	if err := s.run("Next.js", web.command(s.ctx, c.next), s.nextURL+"/welcome", c.log); err != nil {
		return nil, err
	}
	gateway, err := gatewayCommand(s.ctx, s.dir, c.provider.Issuer, c.gateway, s.nextURL)
	if err != nil {
		return nil, err
	}
	if err := s.run("the gateway", gateway, s.gatewayURL+"/healthz", c.log); err != nil {
		return nil, err
	}
	return s, nil
}

// close stops what runs, and waits until it has.
func (s *site) close() {
	s.cancel(nil)
	s.parts.Wait()
	if s.api != nil {
		s.api.close()
	}
	_ = os.RemoveAll(s.dir)
}

// serve runs a part that is a handler of this process.
func (s *site) serve(name string, l net.Listener, h http.Handler) {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(s.ctx, func() { _ = server.Close() })
	s.parts.Go(func() {
		s.cancel(fmt.Errorf("nextjs: %s has ended: %w", name, server.Serve(l)))
	})
}

// run runs a part that is a process, and waits until ready, an address of it,
// answers.
func (s *site) run(name string, cmd *exec.Cmd, ready string, log io.Writer) error {
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("nextjs: %s: %w", name, err)
	}
	s.parts.Go(func() {
		err := cmd.Wait()
		if err == nil {
			err = fmt.Errorf("exit status 0")
		}
		s.cancel(fmt.Errorf("nextjs: %s has ended: %w", name, err))
	})
	ctx, cancel := context.WithTimeout(s.ctx, 30*time.Second)
	defer cancel()
	if err := await(ctx, ready); err != nil {
		return fmt.Errorf("nextjs: %s does not answer: %w", name, err)
	}
	return nil
}

// command returns a process that is asked to end when ctx does, and killed where
// it does not.
func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// await asks address again and again until it answers with 200.
func await(ctx context.Context, address string) error {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return err
		}
		if resp, err := client.Do(r); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// listen returns a listener that only this machine reaches.
func listen(ctx context.Context) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("nextjs: %w", err)
	}
	return l, nil
}
