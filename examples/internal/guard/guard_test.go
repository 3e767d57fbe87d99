// Package guard has tests alone: of the repository as a whole, and not of what
// any one package does. CONTRIBUTING.md lists what they hold. Package leak below
// it searches what a run of all tests has written for secrets.
//
// The go command keeps the results of tests, and does not see that a file of
// another module has changed: -count 1 makes sure.
package guard

import (
	"bytes"
	"encoding/json"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	root   = "../../.." // of the repository
	module = "github.com/tokenlife/tokenlife"
)

// goCommand runs the go command in a folder of the repository and returns what
// it writes to standard output.
func goCommand(t *testing.T, folder string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = filepath.Join(root, folder)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return out
}

// readFile returns a file of the repository.
func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// files returns the files of the repository that keep returns true for, by their
// path from the root. It leaves out what is not the project's own: hidden
// folders, installed packages, and what a build writes.
func files(t *testing.T, keep func(name string) bool) (found []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if base := d.Name(); d.IsDir() && name != "." && (base == "node_modules" || strings.HasPrefix(base, ".")) {
			return fs.SkipDir
		}
		if !d.IsDir() && keep(name) {
			found = append(found, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func isSource(name string) bool {
	return strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") &&
		!strings.Contains("/"+name, "/testdata/")
}

// imports returns what a file of Go imports, on any system.
func imports(t *testing.T, name string) (paths []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, name), nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

// goMod is what go mod edit -json tells, as far as it matters here.
type goMod struct {
	Module  struct{ Path string }
	Require []struct {
		Path     string
		Indirect bool
	}
	Replace []struct {
		Old, New struct{ Path, Version string }
	}
}

// modules returns the modules of the repository by their folder, which is "." for
// the root. It leaves out those that pin a program of others for a test.
func modules(t *testing.T) map[string]goMod {
	t.Helper()
	return modulesIn(t, func(folder string) bool { return !strings.HasPrefix(folder, ofOthers) })
}

// ofOthers is where modules pin programs of others, to be built and started by a
// test. Nothing of the repository is built with them.
const ofOthers = "examples/providers/"

func modulesIn(t *testing.T, keep func(folder string) bool) map[string]goMod {
	t.Helper()
	all := make(map[string]goMod)
	for _, name := range files(t, func(name string) bool { return filepath.Base(name) == "go.mod" }) {
		folder := filepath.ToSlash(filepath.Dir(name))
		if !keep(folder) {
			continue
		}
		var mod goMod
		if err := json.Unmarshal(goCommand(t, folder, "mod", "edit", "-json"), &mod); err != nil {
			t.Fatal(err)
		}
		all[folder] = mod
	}
	return all
}

// direct returns the modules that a module says it uses itself.
func (m goMod) direct() (paths []string) {
	for _, r := range m.Require {
		if !r.Indirect {
			paths = append(paths, r.Path)
		}
	}
	slices.Sort(paths)
	return paths
}
