package guard

import (
	"encoding/json"
	"fmt"
	doccomment "go/doc/comment"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Who comes to a package for the first time copies the program of its comment:
// so every package shows one, and it builds as it stands, or passes where it is a
// test.
func TestEveryPackageShowsAWholeProgramThatBuilds(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	scratch := t.TempDir()
	overlay := make(map[string]string)
	var folders, tests []string
	comments := packageComments(t)
	for _, folder := range slices.Sorted(maps.Keys(comments)) {
		shown := programs(comments[folder])
		if len(shown) == 0 {
			t.Errorf("the comment of package %s shows no whole program", folder)
		}
		for i, program := range shown {
			name := fmt.Sprintf("%s_%d", strings.ReplaceAll(folder, "/", "_"), i+1)
			file := filepath.Join(scratch, name+".go")
			if strings.HasPrefix(program, "package main\n") {
				// A folder that is nowhere but in the overlay, so that all of them
				// are built by one command and in this module.
				overlay[filepath.Join(here, name, "program.go")] = file
				folders = append(folders, "./"+name)
			} else {
				file = filepath.Join(scratch, name+"_test.go")
				tests = append(tests, file)
			}
			if err := os.WriteFile(file, []byte(program), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	replace, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(scratch, "overlay.json")
	if err := os.WriteFile(file, replace, 0o600); err != nil {
		t.Fatal(err)
	}
	// This compiles as go build does, and spares the linking, which would tell
	// nothing more.
	runGo(t, append([]string{"list", "-export", "-f", "{{with .Error}}{{.}}{{end}}", "-overlay", file}, folders...)...)
	for _, test := range tests {
		runGo(t, "test", test)
	}
}

// runGo runs the go command in this folder.
func runGo(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "go", args...).CombinedOutput(); err != nil {
		t.Errorf("go %s: %v\n%s", args[0], err, out)
	}
}

func TestProgramsAreTheWholeOnes(t *testing.T) {
	const text = `Package p is shown in parts

	p.Do()

as a program

	package main

	func main() { p.Do() }

and as a test:

	package site

	func TestSite() {}
`
	want := []string{"package main\n\nfunc main() { p.Do() }\n", "package site\n\nfunc TestSite() {}\n"}
	if got := programs(text); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// programs returns the code of a package's comment that begins with a package
// clause.
func programs(text string) (whole []string) {
	var p doccomment.Parser
	for _, block := range p.Parse(text).Content {
		if code, ok := block.(*doccomment.Code); ok && strings.HasPrefix(code.Text, "package ") {
			whole = append(whole, code.Text)
		}
	}
	return whole
}

// packageComments returns the comments of all packages that others can import,
// by their folder.
func packageComments(t *testing.T) map[string]string {
	t.Helper()
	comments := make(map[string]string)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		folder, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		folder = filepath.ToSlash(folder)
		if d.IsDir() {
			return skipFolder(folder)
		}
		if !strings.HasSuffix(folder, ".go") || strings.HasSuffix(folder, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		if file.Name.Name != "main" {
			comments[filepath.ToSlash(filepath.Dir(folder))] += file.Doc.Text()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(comments) < 14 {
		t.Errorf("found only %d packages: %v", len(comments), slices.Sorted(maps.Keys(comments)))
	}
	return comments
}

// skipFolder leaves out folders without packages for others.
func skipFolder(folder string) error {
	switch name := filepath.Base(filepath.FromSlash(folder)); {
	case folder == ".":
		return nil
	case folder == "examples",
		folder == "middleware/middlewaretest/routertest", // for the adapters of this repository
		folder == "middleware/simulation",                // tests alone
		name == "internal", name == "testdata", name == "node_modules",
		strings.HasPrefix(name, "."):
		return fs.SkipDir
	}
	return nil
}
