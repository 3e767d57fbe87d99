package guard

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tokenlife/tokenlife/examples/internal/need"
)

// ofAMachine matches paths of the machine that something was written on, and
// addresses of the registries that it has installed from: neither holds elsewhere.
var ofAMachine = regexp.MustCompile(
	`(^|[^[:alnum:]_.~/-])/(work|root|tmp|Users|home/[[:alnum:]_-]+)/|//(proxy|registry|deb|sum)\.[a-z]+\.(org|com)`)

func TestTrackedFilesNameNoMachine(t *testing.T) {
	for _, name := range tracked(t) {
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if os.IsNotExist(err) {
			continue // deleted, and not committed yet
		}
		if err != nil {
			t.Fatal(err)
		}
		if bytes.IndexByte(text, 0) >= 0 {
			continue // not text
		}
		for i, line := range strings.Split(string(text), "\n") {
			if found := ofAMachine.FindString(line); found != "" {
				t.Errorf("%s:%d names a path of a machine or an address of a registry: %s", name, i+1, found)
			}
		}
	}
}

func TestTrackedFilesAreNoInstalledPackages(t *testing.T) {
	for _, name := range tracked(t) {
		if strings.Contains("/"+name, "/node_modules/") {
			t.Errorf("%s is installed by npm: it belongs to nobody's commit", name)
		}
	}
}

func TestPathsOfAMachineAreFound(t *testing.T) {
	for line, want := range map[string]bool{
		"see /" + "home/alice/src/x.go":                   true,
		"/" + "tmp/x":                                     true,
		`"resolved": "https://registry` + `.npmjs.org/x"`: true,
		"examples/internal/tmp/x":                         false,
		"../root/x":                                       false,
		"https://example.com/home/x/":                     false,
		"https://example.com/a/work/x":                    false,
	} {
		if got := ofAMachine.MatchString(line); got != want {
			t.Errorf("%q: %t, want %t", line, got, want)
		}
	}
}

// tracked returns the files that git tracks, or would if they were added.
func tracked(t *testing.T) []string {
	t.Helper()
	need.Tool(t, "git", "on Debian: apt-get install git")
	cmd := exec.CommandContext(t.Context(), "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		need.Missing(t, "this is no working tree of git: "+err.Error())
	}
	names := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	if len(names) < 100 {
		t.Fatalf("git tracks only %d files", len(names))
	}
	return names
}
