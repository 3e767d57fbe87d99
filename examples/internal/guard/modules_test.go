package guard

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What the root module may require: who takes it into a program takes these, and
// no more than they need themselves.
var ofTheRoot = []string{
	"github.com/MicahParks/jwkset",
	"github.com/MicahParks/keyfunc/v3",
	"github.com/golang-jwt/jwt/v5",
	"github.com/hashicorp/golang-lru/v2",
	"golang.org/x/", // any of them
}

// What each other module that users import has beside the root and the standard
// library, in the code that comes into their programs.
var ofTheOthers = map[string][]string{
	"middleware/echoauth": {"github.com/labstack/echo/v4"},
	"middleware/ginauth":  {"github.com/gin-gonic/gin"},
	"refresh/redisstore":  {"github.com/redis/go-redis/v9"},
	"refresh/sqlstore":    {}, // any driver, and none of its own
}

func TestTheRootRequiresNothingButTheAllowed(t *testing.T) {
	mod := modules(t)["."]
	if mod.Module.Path != module {
		t.Fatalf("the root is %q", mod.Module.Path)
	}
	direct := mod.direct()
	for _, path := range direct {
		if !within(path, ofTheRoot) {
			t.Errorf("go.mod requires %s", path)
		}
	}
	for _, path := range ofTheRoot {
		if !strings.HasSuffix(path, "/") && !slices.Contains(direct, path) {
			t.Errorf("go.mod does not require %s, which was allowed for a reason", path)
		}
	}
	if len(mod.Replace) > 0 {
		t.Errorf("go.mod replaces %v: nobody who requires the module would get that", mod.Replace)
	}
	// The packages' own imports are seen below; these are what those need.
	with := strings.Fields(string(goCommand(t, ".", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "./...")))
	slices.Sort(with)
	for _, path := range slices.Compact(with) {
		if path != module && !within(path, ofTheRoot) {
			t.Errorf("a program that imports the root contains %s", path)
		}
	}
}

func TestModulesImportNothingButTheAllowed(t *testing.T) {
	all := modules(t)
	for folder, mod := range all {
		if folder == "examples" {
			continue // nobody imports them
		}
		allowed, ok := ofTheOthers[folder]
		if folder == "." {
			allowed, ok = ofTheRoot, true
		}
		if !ok {
			t.Errorf("a new module, %s: what may it import?", mod.Module.Path)
			continue
		}
		seen := 0
		for _, name := range files(t, isSource) {
			if moduleOf(name, all) != folder {
				continue
			}
			seen++
			for _, path := range imports(t, name) {
				if isStandard(path) || within(path, allowed) || within(path, []string{module}) {
					continue
				}
				t.Errorf("%s imports %s", name, path)
			}
		}
		if seen == 0 {
			t.Errorf("no code was found in %s", folder)
		}
	}
}

// Each builds on its own against the root beside it, and the examples against
// all.
func TestModulesAreTiedToThoseBesideThem(t *testing.T) {
	work := readFile(t, "go.work")
	for folder, mod := range modules(t) {
		if folder != "." && !strings.Contains(work, "\t./"+folder+"\n") {
			t.Errorf("go.work does not use %s", folder)
		}
		for _, path := range mod.direct() {
			if !within(path, []string{module}) {
				continue
			}
			beside := strings.TrimPrefix(strings.TrimPrefix(path, module), "/")
			up, err := filepath.Rel(filepath.FromSlash(folder), filepath.FromSlash(beside))
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, r := range mod.Replace {
				found = found || r.Old.Path == path && filepath.Clean(filepath.FromSlash(r.New.Path)) == up
			}
			if !found {
				t.Errorf("%s/go.mod does not replace %s by %s", folder, path, up)
			}
		}
	}
}

// The programs of others, and all that they require, are nothing that a user of a
// module gets, nor a reason for the version of what a module requires.
func TestProgramsOfOthersAreApart(t *testing.T) {
	work := readFile(t, "go.work")
	pinned := modulesIn(t, func(folder string) bool { return strings.HasPrefix(folder, ofOthers) })
	if len(pinned) < 3 {
		t.Errorf("found only %d modules below %s", len(pinned), ofOthers)
	}
	for folder, mod := range pinned {
		if strings.Contains(work, "./"+folder) {
			t.Errorf("go.work uses %s", folder)
		}
		for _, r := range mod.Require {
			if within(r.Path, []string{module}) {
				t.Errorf("%s requires %s", folder, r.Path)
			}
		}
		for other, mod := range modules(t) {
			for _, r := range mod.Require {
				if r.Path == module+"/"+folder {
					t.Errorf("%s requires %s", other, r.Path)
				}
			}
		}
	}
}

func TestTheRootFolderHasNoCode(t *testing.T) {
	for _, name := range files(t, func(name string) bool { return strings.HasSuffix(name, ".go") }) {
		if !strings.Contains(name, "/") {
			t.Errorf("%s: packages have folders of their own", name)
		}
	}
}

// within reports whether an import path is one of paths, below one of them, or
// begins with one that ends in a slash.
func within(path string, paths []string) bool {
	return slices.ContainsFunc(paths, func(p string) bool {
		return path == p || strings.HasPrefix(path, strings.TrimSuffix(p, "/")+"/")
	})
}

// isStandard goes by the dot that the first element of every other path has.
func isStandard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

// moduleOf returns the folder of the innermost module that a file is in.
func moduleOf(name string, all map[string]goMod) string {
	found := "."
	for folder := range all {
		if strings.HasPrefix(name, folder+"/") && len(folder) > len(found) {
			found = folder
		}
	}
	return found
}
