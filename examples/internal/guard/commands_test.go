package guard

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A claim says which test or script runs a command. Its file must contain the
// command, or what the claim gives in its place, or else read the README itself.
// Whether the test really does it, its reader sees.
type claim struct{ command, file, function, contains string }

var claims = []claim{
	{command: "go test work", file: "examples/internal/guard/commands_test.go", function: "TestWorkIsEveryPackageOfEveryModule"},
	{command: "bash .ci/run", file: ".ci/run"},
	{command: "bash .ci/vectors ../shared/vectors", file: ".github/workflows/ci.yml", contains: "bash .ci/vectors "},
	{command: "go vet work", file: ".ci/run"},
	{command: "GOWORK=off go run mvdan.cc/gofumpt@v0.12.0 -l .", file: ".ci/run", contains: "gofumpt=mvdan.cc/gofumpt@v0.12.0\n"},
	{command: "GOWORK=off go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...", file: ".ci/run", contains: "staticcheck=honnef.co/go/tools/cmd/staticcheck@v0.8.2\n"},
	{command: "apt-get install chromium", file: ".ci/run", contains: "missing+=(chromium)"},
	{command: "npm ci --prefix examples/internal/cognitolocal --ignore-scripts", file: ".ci/run", contains: "examples/internal/cognitolocal examples"},
	{command: "npm ci --prefix examples/nextjs/web", file: ".ci/run", contains: "examples/nextjs/web; do"},

	{command: "PROVIDERS=all go test -v -parallel 6 ./examples/providers", file: ".ci/run", contains: "PROVIDERS=all go test "},
	{command: "npm ci --prefix examples/internal/oidcprovider", file: ".ci/run", contains: "in examples/internal/oidcprovider examples"},

	{command: "go run ./examples/hello", file: "examples/hello/transcript_test.go", function: "TestTheReadmesCommandsGiveWhatItShows", contains: "startHello(t, "},
	{command: "cd examples && go run ./nextjs", file: "examples/nextjs/main_test.go", function: "TestTheProgramServesUntilItIsInterrupted"},
	{command: "bash examples/gateway/bench/run.sh", file: "examples/gateway/bench/bench_test.go", function: "TestTheMeasurementRuns"},
	{command: "openssl rand -hex 32", file: "examples/internal/guard/starts_unix_test.go", function: "TestWhatTheREADMEsStartServes", contains: `"openssl "`},
	{command: "node --test", file: "middleware/script_test.go", function: "TestTheScriptPassesItsOwnTests", contains: `node, "--test"`},
	{
		command: `npm install "$(go list -m -f '{{.Dir}}' github.com/tokenlife/tokenlife)/middleware/script"`,
		file:    "examples/internal/guard/npm_test.go", function: "TestTheBrowserModuleIsInstalledFromTheModuleCache",
	},
}

// transcripts lists the tests that read a README and run all of its calls of curl.
var transcripts = map[string]claim{
	"README.md":                  {file: "examples/hello/transcript_test.go", function: "TestTheReadmesCommandsGiveWhatItShows", contains: "block(t, "},
	"examples/chi/README.md":     {file: "examples/chi/main_test.go", function: "TestTheProgram", contains: "routersite.Test(t)"},
	"examples/echo/README.md":    {file: "examples/echo/main_test.go", function: "TestTheProgram", contains: "routersite.Test(t)"},
	"examples/gin/README.md":     {file: "examples/gin/main_test.go", function: "TestTheProgram", contains: "routersite.Test(t)"},
	"examples/local/README.md":   {file: "examples/local/main_test.go", function: "TestTheReadmesTranscriptIsTrue"},
	"examples/observe/README.md": {file: "examples/observe/main_test.go", function: "TestTheReadmesTranscriptIsTrue"},
}

// Who copies a command wants it to work: each that a README has is run by a test,
// which stands in one of the lists, or is itself a call of tests that there are.
func TestEveryCommandOfTheREADMEsIsRunByATest(t *testing.T) {
	shown := make(map[string]bool)
	for _, r := range readmes(t) {
		for _, command := range r.commands {
			shown[command] = true
			for _, part := range parts(command) {
				shown[part] = true
			}
			if !isRun(t, r.name, command) {
				t.Errorf("%s: no test runs %q: add it to claims, starts or transcripts", r.name, command)
			}
		}
	}
	for _, c := range claims {
		if !shown[c.command] {
			t.Errorf("no README has %q any more: take it off the list", c.command)
		}
	}
	for _, s := range starts {
		if !shown[s.command] {
			t.Errorf("no README has %q any more: take it off the list", s.command)
		}
	}
}

var inTranscript = regexp.MustCompile(`^(sleep \d+; )?curl `)

func isRun(t *testing.T, readme, command string) bool {
	t.Helper()
	if c, ok := transcripts[readme]; ok && inTranscript.MatchString(command) {
		c.command = command
		c.check(t)
		return true
	}
	if slices.ContainsFunc(starts, func(s start) bool { return s.command == command }) || isTestCall(t, command) {
		return true
	}
	if i := slices.IndexFunc(claims, func(c claim) bool { return c.command == command }); i >= 0 {
		claims[i].check(t)
		return true
	}
	all := parts(command)
	return len(all) > 1 && !slices.ContainsFunc(all, func(part string) bool { return !isRun(t, readme, part) })
}

// parts returns what a command line runs one after the other.
func parts(command string) []string { return strings.Split(command, " && ") }

func (c claim) check(t *testing.T) {
	t.Helper()
	source := readFile(t, c.file)
	if c.function != "" && !strings.Contains(source, "func "+c.function+"(") {
		t.Errorf("%s has no %s, which is said to run %q", c.file, c.function, c.command)
	}
	if needle := c.contains; needle != "" && !strings.Contains(source, needle) {
		t.Errorf("%s has no %q, which is said to run %q", c.file, needle, c.command)
	} else if needle == "" && !strings.Contains(source, c.command) && !strings.Contains(source, "README.md") {
		t.Errorf("%s does not run %q", c.file, c.command)
	}
}

// testCalls are the ways to name tests, benchmarks and fuzz targets, tests last: a
// command that runs one of the others names no tests.
var testCalls = []struct {
	prefix  string
	command *regexp.Regexp
}{
	{"Fuzz", regexp.MustCompile(`^go test .*-fuzz[ =]'?([^' ]+)'?`)},
	{"Benchmark", regexp.MustCompile(`^go test .*-bench[ =]'?([^' ]+)'?`)},
	{"Test", regexp.MustCompile(`^go test .*-run[ =]'?([^' ]+)'?`)},
	{"Test", regexp.MustCompile(`^go test ()\./\S+$`)},
}

// isTestCall reports whether a command calls tests, benchmarks or fuzz targets of
// this repository, and fails the test where there are none of these names. Tests
// are run by go test work, benchmarks by TestBenchmarksOfTheREADMEsRun, and fuzz
// targets by .ci/run.
func isTestCall(t *testing.T, command string) bool {
	t.Helper()
	for _, call := range testCalls {
		m := call.command.FindStringSubmatch(command)
		if m == nil {
			continue
		}
		if m[1] == "^Name$" { // stands for any
			return true
		}
		first, _, _ := strings.Cut(m[1], "/") // subtests come behind
		name, err := regexp.Compile(first)
		if err != nil {
			t.Errorf("%q: %v", command, err)
			return true
		}
		folders := 0
		for _, word := range strings.Fields(command) {
			folder, ok := strings.CutPrefix(word, "./")
			if word == "work" {
				folder, ok = "...", true
			}
			if !ok {
				continue
			}
			folders++
			if !slices.ContainsFunc(testNames(t, folder, call.prefix), name.MatchString) {
				t.Errorf("%q runs nothing in %s", command, word)
			}
		}
		return folders > 0
	}
	return false
}

// testNames returns the names of the tests, or of what else prefix says, of a folder, or of all
// below it where it ends in an ellipsis.
func testNames(t *testing.T, folder, prefix string) (names []string) {
	t.Helper()
	below, recursive := strings.CutSuffix(folder, "...")
	for _, name := range files(t, func(name string) bool {
		return strings.HasSuffix(name, "_test.go") &&
			(path.Dir(name) == strings.TrimSuffix(folder, "/") || recursive && strings.HasPrefix(name, below))
	}) {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, prefix) {
				names = append(names, f.Name.Name)
			}
		}
	}
	return names
}

// The README says of go test work that it tests every module.
func TestWorkIsEveryPackageOfEveryModule(t *testing.T) {
	if strings.TrimSpace(string(goCommand(t, ".", "env", "GOWORK"))) == "off" {
		t.Skip("the workspace is off: unset GOWORK to test it")
	}
	listed := strings.Fields(string(goCommand(t, ".", "list", "work")))
	for folder, mod := range modules(t) {
		for _, name := range strings.Fields(string(goCommand(t, folder, "list", "./..."))) {
			if !slices.Contains(listed, name) {
				t.Errorf("go test work leaves out %s of %s", name, mod.Module.Path)
			}
		}
	}
	if !strings.Contains(readFile(t, ".ci/run"), " work #") {
		t.Error(".ci/run does not run go test work")
	}
}

// What a README says of a test it says by the test's name.
func TestTestsThatAREADMENamesExist(t *testing.T) {
	name := regexp.MustCompile(`\b(Test|Benchmark|Fuzz)[A-Z]\w+`)
	all := slices.Concat(testNames(t, "...", "Test"), testNames(t, "...", "Benchmark"), testNames(t, "...", "Fuzz"))
	// The comparison rests on tests by their names alone.
	for _, r := range append(readmes(t), parse("testdata/comparison.md", readFile(t, "testdata/comparison.md"))) {
		for _, named := range name.FindAllString(r.text, -1) {
			if !slices.Contains(all, named) {
				t.Errorf("%s names %s, which there is not", r.name, named)
			}
		}
	}
}
