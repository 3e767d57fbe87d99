// Package program builds one of the example programs and runs it for a test, as
// its users do: a process with an environment.
package program

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/examples/internal/guard/leak"
)

// Build builds the program in the folder dir, relative to the test's, and
// returns the file's path. With the race detector on in the test it is on in
// the program.
func Build(t testing.TB, dir string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "program")
	args := []string{"build", "-buildvcs=false", "-o", file}
	if raceDetector() {
		args = append(args, "-race")
	}
	cmd := exec.CommandContext(t.Context(), "go", append(args, ".")...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("program: building %s: %v\n%s", dir, err, out)
	}
	return file
}

func raceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return false
	}
	for _, s := range info.Settings {
		if s.Key == "-race" {
			return s.Value == "true"
		}
	}
	return false
}

// A Process is a running program.
type Process struct {
	cmd   *exec.Cmd
	out   bytes.Buffer // whole once ended is closed
	ended chan struct{}
	err   error // of the process; likewise

	send func(syscall.Signal) error // fails where it has ended by itself
	quit syscall.Signal             // what asks it to end
	stop sync.Once

	goRun  bool // by a go command, which ends badly in any case when it is interrupted
	others bool // not the project's own
}

// Run starts file with exactly the environment env and waits until ready, an
// http address, answers with 200. The process ends with the test at the latest,
// and what it wrote is kept by package leak, and logged if the test failed.
func Run(t testing.TB, file string, env []string, ready string) *Process {
	t.Helper()
	cmd := exec.Command(file)
	cmd.Env = env
	cmd.Dir = t.TempDir()
	p := &Process{cmd: cmd, quit: syscall.SIGTERM}
	p.send = func(s syscall.Signal) error { return cmd.Process.Signal(s) }
	return p.start(t, ready, limit)
}

// RunOthers starts a program that is not the project's own, with arguments:
// what it writes is nothing to answer for, and it is killed at the end of the
// test.
func RunOthers(t testing.TB, file string, env []string, ready string, args ...string) *Process {
	t.Helper()
	cmd := exec.Command(file, args...)
	cmd.Env = env
	cmd.Dir = t.TempDir()
	p := &Process{cmd: cmd, others: true}
	p.send = func(s syscall.Signal) error { return cmd.Process.Signal(s) }
	return p.start(t, ready, limit)
}

// Once runs a program that is not the project's own to its end, which must be a
// good one.
func Once(t testing.TB, file string, env []string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), file, args...)
	cmd.Env = env
	cmd.Dir = t.TempDir()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("program: %s: %v\n%s", args, err, out)
	}
}

// start starts the command and waits until ready answers.
func (p *Process) start(t testing.TB, ready string, patience time.Duration) *Process {
	t.Helper()
	p.ended = make(chan struct{})
	p.cmd.Stdout = &p.out // one writer for both: exec then serialises them
	p.cmd.Stderr = &p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		p.err = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		if p.others {
			p.Kill()
		} else {
			if err := p.end(); err != nil {
				t.Errorf("program: %v", err)
			}
			leak.Keep(t, "program", p.out.Bytes())
		}
		if t.Failed() {
			t.Logf("what the program wrote:\n%s", p.out.Bytes())
		}
	})
	if err := p.await(ready, patience); err != nil {
		t.Fatal(err)
	}
	return p
}

// Stop asks the program to end, waits until it has, and returns all that it
// wrote to standard output and standard error. A status other than 0 is the
// test's failure.
func (p *Process) Stop(t testing.TB) []byte {
	t.Helper()
	if err := p.end(); err != nil {
		t.Errorf("program: %v", err)
	}
	return p.out.Bytes()
}

// Kill ends the program at once, as a crash would.
func (p *Process) Kill() {
	p.stop.Do(func() {
		_ = p.send(syscall.SIGKILL)
		<-p.ended
	})
}

// limit bounds how long a program may take to start and to stop.
const limit = 20 * time.Second

// end stops the program once; only the call that does so reports how it went.
func (p *Process) end() (err error) {
	p.stop.Do(func() {
		_ = p.send(p.quit)
		select {
		case <-p.ended:
		case <-time.After(limit):
			_ = p.send(syscall.SIGKILL)
			<-p.ended
			err = fmt.Errorf("it did not end within %v of %v", limit, p.quit)
			return
		}
		if p.err != nil && !p.endedWell() {
			err = fmt.Errorf("it ended badly: %w", p.err)
		}
	})
	return err
}

// endedWell reports whether a status other than 0 is but the go command's own:
// it writes a program's.
func (p *Process) endedWell() bool {
	return p.goRun && !bytes.Contains(p.out.Bytes(), []byte("exit status")) && !bytes.Contains(p.out.Bytes(), []byte("signal: "))
}

// await asks ready again and again until it answers.
func (p *Process) await(ready string, patience time.Duration) error {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Second}
	late := time.After(patience)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		if resp, err := client.Get(ready); err == nil {
			_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-again.C:
		case <-p.ended:
			return errors.New("program: it ended before it was ready")
		case <-late:
			return fmt.Errorf("program: %s did not answer within %v", ready, patience)
		}
	}
}

// FreeAddress returns a loopback address that nothing listens on. Until the
// program does, another process may take it. That is rare: the port is none of
// those that the system hands out, and no two calls of this process give the
// same.
func FreeAddress(t testing.TB) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", firstPort+rand.IntN(ports))
		if _, given := given.LoadOrStore(address, true); given {
			continue
		}
		if l, err := net.Listen("tcp", address); err == nil {
			_ = l.Close()
			return address
		}
	}
	t.Fatal("program: there is no free port")
	return ""
}

// Systems hand out ports from 32768 on, or later.
const (
	firstPort = 16000
	ports     = 16000
)

var given sync.Map // addresses that FreeAddress has returned

// Env returns an environment for Run: the variables that any program needs, and
// those given as NAME=value.
func Env(variables ...string) []string {
	return append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, variables...)
}
