// Package cognitolocal starts a user pool on this machine: the npm package
// cognito-local, an emulator of Amazon Cognito, with one app client, three users
// and a group. Its signing key is public: it is for tests and for trying things
// out.
//
// It needs Node.js and the packages of its lockfile, and at run time no network
// but loopback.
package cognitolocal

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Users of every pool. Alice is in the group admins. Carol has a temporary
// password, and must choose another before she can sign in.
const (
	Alice, AlicePassword = "alice@example.com", "Alice-12"
	Bob, BobPassword     = "bob@example.com", "Bobby-12"
	Carol, CarolPassword = "carol@example.com", "Carol-12"
)

// ErrMissing says what has to be installed first.
var ErrMissing = errors.New("cognitolocal: something is not installed")

// Config is what a pool knows from the start.
type Config struct {
	CallbackURLs []string      // where an authorization code may go
	LogoutURLs   []string      // where /logout may go back to
	AccessLife   time.Duration // of access and ID tokens, in whole seconds; default 5 min
}

// A Pool is a running user pool.
type Pool struct {
	URL      string `json:"url"` // of the JSON API and of the hosted pages
	PoolID   string `json:"pool_id"`
	ClientID string `json:"client_id"`

	stdin  io.Closer
	ended  chan struct{} // closed after the process and its output have ended
	kill   func() error
	stderr bytes.Buffer // whole once ended is closed
}

const (
	startTimeout = 30 * time.Second // it takes about a second on an idle machine
	stopTimeout  = 5 * time.Second
)

// Start starts a pool. An error that wraps [ErrMissing] says what to install.
func Start(ctx context.Context, c Config) (*Pool, error) {
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, fmt.Errorf("%w: Node.js 20 or newer, with npm (Debian: apt-get install nodejs npm)", ErrMissing)
	}
	dir, err := directory()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "cognito-local")); err != nil {
		return nil, fmt.Errorf("%w: run: npm ci --prefix examples/internal/cognitolocal", ErrMissing)
	}
	life := c.AccessLife
	if life == 0 {
		life = 5 * time.Minute
	}
	p := &Pool{ended: make(chan struct{})}
	cmd := exec.Command(node, "server.mjs")
	cmd.Dir = dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir(),
		"CALLBACK_URLS=" + strings.Join(c.CallbackURLs, " "),
		"LOGOUT_URLS=" + strings.Join(c.LogoutURLs, " "),
		"ACCESS_SECONDS=" + strconv.Itoa(int(life/time.Second)),
	}
	cmd.Stderr = &p.stderr
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("cognitolocal: %w", err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("cognitolocal: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("cognitolocal: %w", err)
	}
	p.kill = cmd.Process.Kill

	first := make(chan []byte, 1)
	go func() {
		defer close(p.ended)
		lines := bufio.NewReader(stdout)
		line, _ := lines.ReadBytes('\n') // a short one is no JSON
		first <- line
		_, _ = io.Copy(io.Discard, lines)
		_ = cmd.Wait() // its status tells nothing after a kill
	}()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	select {
	case line := <-first:
		if err := json.Unmarshal(line, p); err != nil {
			_ = p.Close()
			return nil, fmt.Errorf("cognitolocal: the pool stopped before it was ready: %s", p.stderr.Bytes())
		}
		return p, nil
	case <-ctx.Done():
		_ = p.Close()
		return nil, fmt.Errorf("cognitolocal: the pool is not ready: %w", ctx.Err())
	}
}

// Close stops the pool and forgets its data.
func (p *Pool) Close() error {
	_ = p.stdin.Close()
	select {
	case <-p.ended:
		return nil
	case <-time.After(stopTimeout):
		err := p.kill()
		<-p.ended
		return errors.Join(errors.New("cognitolocal: the pool did not stop when its input ended"), err)
	}
}

// directory finds this package's folder from the working directory, which is in
// the same module or its repository.
func directory() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("cognitolocal: %w", err)
	}
	for {
		for _, in := range []string{"internal", filepath.Join("examples", "internal")} {
			found := filepath.Join(dir, in, "cognitolocal")
			if _, err := os.Stat(filepath.Join(found, "server.mjs")); err == nil {
				return found, nil
			}
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("cognitolocal: start this from within the repository")
		}
		dir = parent
	}
}
