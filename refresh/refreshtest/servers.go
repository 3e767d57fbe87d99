package refreshtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	startTime = 30 * time.Second // for a server to become ready, on a machine that is busy
	stopTime  = 10 * time.Second
	lookAgain = 5 * time.Millisecond
)

// A server is a process that a test has started.
type server struct {
	t    testing.TB
	cmd  *exec.Cmd
	kept string        // the folder for its output
	log  bytes.Buffer  // its output; to be read after done
	done chan struct{} // closed when the process has ended
}

// launch starts a program in dir, and returns when ready reports true. If the
// program ends before that, the error has its output. Otherwise its output
// becomes an artifact of the test when it ends.
func launch(t testing.TB, dir string, as *account, ready func(pid int) bool, program string, args ...string) (*server, error) {
	s := &server{t: t, kept: t.ArtifactDir(), done: make(chan struct{})}
	s.cmd = command(context.Background(), dir, as, program, args...)
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(s.done)
		_ = s.cmd.Wait() // it ends when it is killed or stopped
	}()
	patience := time.NewTimer(startTime)
	defer patience.Stop()
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	for !ready(s.cmd.Process.Pid) {
		select {
		case <-again.C:
		case <-s.done:
			return nil, fmt.Errorf("%s ended as it started:\n%s", filepath.Base(program), s.log.Bytes())
		case <-patience.C:
			s.kill()
			return nil, fmt.Errorf("%s is not ready after %v:\n%s", filepath.Base(program), startTime, s.log.Bytes())
		}
	}
	return s, nil
}

// command returns the command for a program in dir, which runs as another user
// if one is given. Its environment has nothing that could change where it reads
// or writes.
func command(ctx context.Context, dir string, as *account, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.Env = []string{"LC_ALL=C", "PATH=" + os.Getenv("PATH"), "TMPDIR=" + dir, "HOME=" + dir}
	cmd.SysProcAttr = attributes(as)
	return cmd
}

// kill ends a server at once.
func (s *server) kill() {
	_ = s.cmd.Process.Kill() // an error means that it has ended
	<-s.done
	s.keep()
}

func (s *server) keep() {
	file, err := os.CreateTemp(s.kept, filepath.Base(s.cmd.Path)+"-*.output")
	if err == nil {
		_, err = file.Write(s.log.Bytes())
		err = errors.Join(err, file.Close())
	}
	if err != nil {
		s.t.Errorf("refreshtest: %v", err)
	}
}

// stop asks a server to end, and kills it if it does not.
func (s *server) stop() {
	if s.cmd.Process.Signal(os.Interrupt) == nil {
		select {
		case <-s.done:
		case <-time.After(stopTime):
		}
	}
	s.kill()
}

// onFreePort calls start with ports that seem to be free, until it succeeds.
// The ports are below those of outgoing connections. So no outgoing connection
// takes the port of a server that is down, and a client that dials it does not
// connect to itself.
func onFreePort(start func(port string) error) error {
	const first, ports, attempts = 12000, 10000, 20
	err := errors.New("no port is free")
	for range attempts {
		port := fmt.Sprint(first + rand.IntN(ports))
		l, busy := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
		if busy != nil {
			continue
		}
		l.Close()
		if err = start(port); err == nil {
			return nil
		}
	}
	return err
}

// find returns the path of the first of programs that is installed, on the PATH
// or else in one of the folders, which may be patterns.
func find(folders []string, programs ...string) string {
	for _, program := range programs {
		if path, err := exec.LookPath(program); err == nil {
			return path
		}
		for _, pattern := range folders {
			found, _ := filepath.Glob(filepath.Join(pattern, program)) // the patterns are constants
			if len(found) > 0 {
				return found[len(found)-1] // the newest, if there are several
			}
		}
	}
	return ""
}

// missing skips the test, or fails it if the environment variable CI is set.
func missing(t testing.TB, program, pkg string) {
	t.Helper()
	text := fmt.Sprintf("%s is not installed (Debian: apt-get install %s)", program, pkg)
	if ci := strings.ToLower(os.Getenv("CI")); ci != "" && ci != "0" && ci != "false" {
		t.Fatal(text + ", and CI is set")
	}
	t.Skip(text)
}

// folder creates a folder that belongs to as, and that is removed after the
// test. A folder of t.TempDir could be entered only by the user who runs the
// test.
func folder(t testing.TB, as *account) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "refreshtest-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if as != nil {
		if err := os.Chown(dir, as.uid, as.gid); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
