package guard

import (
	"flag"
	"go/importer"
	"go/token"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/api.txt anew")

const apiFile = "testdata/api.txt"

// What the packages export changes by intention alone. Nobody who builds on it
// wants to find out by a build that fails.
func TestTheExportedAPIIsTheOneWrittenDown(t *testing.T) {
	got := exportedAPI(t)
	if *update {
		text := strings.Join(got, "\n") + "\n"
		if err := os.WriteFile(filepath.Join(root, apiFile), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := strings.Split(strings.TrimSuffix(readFile(t, apiFile), "\n"), "\n")
	added, removed := difference(got, want), difference(want, got)
	if len(added)+len(removed) > 0 {
		t.Errorf("the exported API is another than %s has it:\n%s%s"+
			"If that is meant: go test ./examples/internal/guard -run API -update\n"+
			"A line that goes breaks the programs that use it.",
			apiFile, marked("+ ", added), marked("- ", removed))
	} else if !slices.Equal(got, want) {
		t.Errorf("%s is not sorted, or has a line twice: go test ./examples/internal/guard -run API -update", apiFile)
	}
}

// difference returns the lines of a that b lacks.
func difference(a, b []string) (lines []string) {
	for _, line := range a {
		if !slices.Contains(b, line) {
			lines = append(lines, line)
		}
	}
	return lines
}

func marked(mark string, lines []string) string {
	var b strings.Builder
	for _, line := range lines {
		b.WriteString(mark + line + "\n")
	}
	return b.String()
}

// exportedAPI returns the lines of all packages that others can import. It reads
// them as the compiler has exported them, which needs no library and takes what
// earlier builds have left.
func exportedAPI(t *testing.T) []string {
	t.Helper()
	// The examples require every other module, so that this pattern finds all of
	// them, in the workspace and without.
	var packages []string
	for line := range strings.Lines(string(goCommand(t, "examples", "list", "-find", "-f", "{{.ImportPath}} {{.Name}}", module+"/..."))) {
		if path, name, _ := strings.Cut(strings.TrimSpace(line), " "); name != "main" && isPublic(path) {
			packages = append(packages, path)
		}
	}
	exports := make(map[string]string) // the compiler's files, by import path
	list := append([]string{"list", "-export", "-deps", "-f", "{{.ImportPath}}\t{{.Export}}"}, packages...)
	for line := range strings.Lines(string(goCommand(t, "examples", list...))) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), "\t")
		exports[path] = file
	}
	gc := importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(exports[path])
	})
	var all []string
	for _, path := range packages {
		pkg, err := gc.Import(path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, describe(pkg)...)
	}
	slices.Sort(all)
	return all
}

// isPublic reports whether a package is one of this repository's that others import.
func isPublic(path string) bool {
	return (path == module || strings.HasPrefix(path, module+"/")) &&
		!strings.HasPrefix(path, module+"/examples/") &&
		!slices.Contains(strings.Split(path, "/"), "internal")
}

// A module that the examples do not require would have no line, and no guard.
func TestTheAPIIsOfEveryModule(t *testing.T) {
	all := modules(t)
	required := all["examples"].direct()
	for folder, mod := range all {
		if folder != "examples" && !slices.Contains(required, mod.Module.Path) {
			t.Errorf("examples/go.mod does not require %s", mod.Module.Path)
		}
	}
	if len(all) < 6 {
		t.Errorf("found only %d modules", len(all))
	}
}
