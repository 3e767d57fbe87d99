//go:build unix

package program

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/examples/internal/need"
)

// buildLimit bounds how long a program may take to start that is built first, on
// a machine that is busy with other builds.
const buildLimit = 2 * time.Minute

// Shell runs a command line in the folder dir as somebody does who types it, with
// env beside the environment of the test, and waits until ready, an http address,
// answers with 200. At the end of the test at the latest it gets what Ctrl-C
// sends, with all that it has started, and must end well. It needs a shell.
func Shell(t testing.TB, dir, line string, env []string, ready string) *Process {
	t.Helper()
	sh := need.Tool(t, "sh", "a POSIX shell; on Debian: apt-get install dash")
	// A trap keeps the shell for the status of what it runs, and is not handed on.
	cmd := exec.Command(sh, "-c", "trap : INT; "+line)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p := &Process{cmd: cmd, quit: syscall.SIGINT, goRun: strings.Contains(line, "go run ")}
	p.send = func(s syscall.Signal) error { return syscall.Kill(-cmd.Process.Pid, s) } // to the whole group
	return p.start(t, ready, buildLimit)
}
