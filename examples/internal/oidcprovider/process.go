package oidcprovider

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os/exec"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/examples/internal/guard/leak"
)

// startTimeout bounds the wait for the provider's first line, which takes about
// half a second on an idle machine.
const startTimeout = 30 * time.Second

// running is the process as long as it runs.
type running struct {
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	stderr  bytes.Buffer  // read only after it has ended
	lines   chan Event    // answers to orders
	dropped chan struct{} // nobody will ask again
	ended   chan struct{}
}

// run starts the process and waits for its first line.
func (p *Provider) run(t testing.TB) {
	t.Helper()
	r := &running{cmd: p.command(), lines: make(chan Event), dropped: make(chan struct{}), ended: make(chan struct{})}
	r.cmd.Stderr = &r.stderr
	var err error
	if r.stdin, err = r.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.running = r
	go func() {
		defer close(r.ended)
		p.read(stdout, r)
		_ = r.cmd.Wait() // its status tells nothing after a kill
	}()
	select {
	case first, ok := <-r.lines:
		if !ok || first.Kind != "ready" {
			t.Fatal("oidcprovider: the provider stopped before it was ready")
		}
		p.Issuer = first.Issuer
	case <-time.After(startTimeout):
		t.Fatalf("oidcprovider: the provider was not ready after %v", startTimeout)
	}
}

// stop ends the process, if there is one, and keeps what it wrote.
func (p *Provider) stop(t testing.TB, r *running) {
	if r == nil {
		return
	}
	p.running = nil
	close(r.dropped)
	_ = r.stdin.Close()
	select {
	case <-r.ended:
	case <-time.After(5 * time.Second):
		t.Error("oidcprovider: the provider did not stop when its input ended")
		_ = r.cmd.Process.Kill()
		<-r.ended
	}
	leak.Keep(t, "oidcprovider", r.stderr.Bytes())
	if t.Failed() {
		t.Logf("the provider's standard error:\n%s", r.stderr.String())
	}
}

// Kill ends the provider at once, as a crash would.
func (p *Provider) Kill(t testing.TB) {
	_ = p.running.cmd.Process.Kill()
	p.stop(t, p.running)
}

// Restart starts a provider that was killed again, where Config says that it
// listens. It knows what is in Config.State.
func (p *Provider) Restart(t testing.TB) {
	t.Helper()
	p.run(t)
}

// Rotate makes the keys that sign from now on. The ones before are still
// published.
func (p *Provider) Rotate(t testing.TB) {
	t.Helper()
	p.order(t, "rotate")
}

// Revoke ends all grants of a user, with their tokens, as an administrator
// would.
func (p *Provider) Revoke(t testing.TB, user string) {
	t.Helper()
	p.order(t, "revoke "+user)
}

// read takes in the provider's lines until they end. Answers go to r.lines,
// unless nobody will ask again.
func (p *Provider) read(stdout io.Reader, r *running) {
	defer close(r.lines)
	lines := bufio.NewReader(stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var e Event
		if json.Unmarshal(line, &e) != nil {
			continue
		}
		if e.Kind == "ready" || e.Kind == "echo" {
			select {
			case r.lines <- e:
			case <-r.dropped:
			}
			continue
		}
		p.mu.Lock()
		p.events = append(p.events, e)
		p.mu.Unlock()
	}
}

// order writes a line to the provider and waits until it has been carried out.
func (p *Provider) order(t testing.TB, line string) {
	t.Helper()
	p.asking.Lock()
	defer p.asking.Unlock()
	if _, err := io.WriteString(p.running.stdin, line+"\n"); err != nil {
		t.Fatalf("oidcprovider: the provider is gone: %v", err)
	}
	select {
	case _, ok := <-p.running.lines:
		if !ok {
			t.Fatal("oidcprovider: the provider is gone")
		}
	case <-time.After(startTimeout):
		t.Fatalf("oidcprovider: no answer after %v", startTimeout)
	}
}
