//go:build unix

package guard

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tokenlife/tokenlife/examples/internal/need"
	"github.com/tokenlife/tokenlife/examples/internal/program"
)

func TestWhatTheREADMEsStartServes(t *testing.T) {
	for _, s := range starts {
		t.Run(s.command, func(t *testing.T) {
			t.Parallel()
			need.Tool(t, "sh", "a POSIX shell; on Debian: apt-get install dash")
			line := s.as
			if line == "" {
				line = s.command
			}
			if strings.Contains(line, "openssl ") {
				need.Tool(t, "openssl", "on Debian: apt-get install openssl")
			}
			if s.npm != "" {
				need.Tool(t, "node", "Node.js 20 or newer, with npm; on Debian: apt-get install nodejs npm")
				if _, err := os.Stat(filepath.Join(root, s.npm)); err != nil {
					need.Missing(t, "run: npm ci --prefix "+filepath.Dir(filepath.Dir(s.npm))+" --ignore-scripts")
				}
			}
			address := program.FreeAddress(t)
			own := strings.NewReplacer("ADDRESS", address, "127.0.0.1:8080", address, "…", "example")
			env := []string{"FOLDER=" + t.TempDir(), workspace}
			for _, variable := range s.env {
				env = append(env, own.Replace(variable))
			}
			program.Shell(t, filepath.Join(root, s.folder), own.Replace(line), env, "http://"+address+s.ready)
		})
	}
}

// workspace has commands find the workspace, as a user's do, even where this test
// is run without it.
const workspace = "GOWORK="

var measured = regexp.MustCompile(`(?m)^Benchmark\S+\s+1\s`)

// Benchmarks take long to measure something, and one round to show that they run.
func TestBenchmarksOfTheREADMEsRun(t *testing.T) {
	for _, r := range readmes(t) {
		for _, command := range r.commands {
			if !isTestCall(t, command) || !strings.Contains(command, " -bench") {
				continue
			}
			t.Run(command, func(t *testing.T) {
				need.Tool(t, "sh", "a POSIX shell; on Debian: apt-get install dash")
				cmd := exec.CommandContext(t.Context(), "sh", "-c", command+" -run '^$' -benchtime 1x -count 1")
				cmd.Dir = root
				cmd.Env = append(os.Environ(), workspace)
				if out, err := cmd.CombinedOutput(); err != nil || !measured.Match(out) {
					t.Errorf("%v\n%s", err, out)
				}
			})
		}
	}
}
