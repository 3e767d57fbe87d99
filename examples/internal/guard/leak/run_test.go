package leak

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// parts are what a whole run has output of, beside the tests themselves, and what
// shows in it that there was something to hide.
var parts = map[string]string{
	"tests":                      "--- PASS: TestPromise11Silence",
	"gateway":                    `"level":"DEBUG","msg":"verified"`, // in the process of its tests
	"program":                    `"msg":"signed_in"`,                // in one of its own
	"nextjs":                     "Ready in ",                        // with the gateway, which tells its warnings
	"oidcprovider":               "",
	"cognito":                    "The site is at ",
	"redis-server|valkey-server": "Ready to accept connections",
	"postgres":                   "database system is ready",
}

// No test has written a secret, nor has any program or server that one started
// (promise 11), whoever knows it and whatever is found wanting.
func TestTheWholeRunTellsNoSecret(t *testing.T) {
	folder := os.Getenv("WHOLE_RUN")
	if folder == "" {
		t.Skip("WHOLE_RUN names no folder with what a whole run of the tests has written: .ci/run makes one, and runs this after it")
	}
	run, err := readRun(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range run.leaks() {
		t.Error(found)
	}

	packages := tested(t)
	if missing := without(packages, run.packages()); len(missing) > 0 {
		t.Errorf("it is no whole run: the tests of these packages are not in it, or have not passed: %q", missing)
	}
	for part, text := range parts {
		if !run.has(strings.Split(part, "|"), text) {
			t.Errorf("it is no whole run: of %s there is nothing, or not %q", part, text)
		}
	}
	values, lines := 0, 0
	for _, v := range run.secrets {
		values += len(v)
	}
	for _, o := range run.outputs {
		lines += len(o.lines)
	}
	if values < 1000 {
		t.Errorf("it is no whole run: it has only %d secrets to look for", values)
	}
	t.Logf("%d packages, %d files with %d lines, %d known secrets and %d shapes", len(packages), len(run.outputs), lines, values, len(shapes))
}

// tested returns all packages of the workspace that have tests.
func tested(t *testing.T) []string {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-f", "{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}", "work")
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(out))
}

func without(all, these []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return slices.Contains(these, s) })
}

// has reports whether one of these parts has written a text.
func (run *wholeRun) has(parts []string, text string) bool {
	for _, o := range run.outputs {
		if slices.Contains(parts, o.part) && slices.ContainsFunc(o.lines, func(line string) bool { return strings.Contains(line, text) }) {
			return true
		}
	}
	return false
}

var passed = regexp.MustCompile(`^ok  \t(\S+)\t[\d.]+s$`) // and neither from a cache nor without tests

// packages returns those whose tests have all run, and passed.
func (run *wholeRun) packages() (packages []string) {
	for _, o := range run.outputs {
		for _, line := range o.lines {
			if groups := passed.FindStringSubmatch(line); groups != nil && o.part == "tests" {
				packages = append(packages, groups[1])
			}
		}
	}
	return packages
}

func TestAWholeRunIsReadAndLookedThrough(t *testing.T) {
	t.Parallel()
	const secret = "Qk3vT9_xW2mZ7pL4rB8sY1nD"
	folder := t.TempDir()
	write(t, filepath.Join(folder, "a", testsOutput), "=== RUN   TestIt\n=== ARTIFACTS TestIt "+filepath.Join(folder, "a", "1")+
		"\n    policy_test.go:1: got vT9_xW2mZ7pL\n--- PASS: TestIt (0.00s)\nok  \texample.com/a\t0.123s\n")
	write(t, filepath.Join(folder, "b", testsOutput),
		"ok  \texample.com/b\t(cached)\nok  \texample.com/c\t0.1s [no tests to run]\nok  \texample.com/d\t12.3s\r\nFAIL\texample.com/e\t1s\n")
	write(t, filepath.Join(folder, "a", "1", "gateway-2.output"), "fine\nstill fine\nBearer "+secret+"\n")
	write(t, filepath.Join(folder, "a", "1", "-3.secrets"), `{"cookie c": ["short", "`+secret+`", "a-name-that-somebody-gave"]}`)
	write(t, filepath.Join(folder, "a", "1", "redis-server-4.output"), "a-name-that-somebody-gave, and vT9_xW2mZ7p")

	run, err := readRun(folder)
	if err != nil {
		t.Fatal(err)
	}
	if got := run.packages(); !slices.Equal(got, []string{"example.com/a", "example.com/d"}) {
		t.Errorf("packages that ran: %q", got)
	}
	got := run.leaks()
	slices.Sort(got)
	want := []string{
		filepath.Join(folder, "a", testsOutput) + ":3: cookie c, in:     policy_test.go:1: got …",
		"TestIt: gateway-2.output:3: cookie c, in: Bearer …",
		"TestIt: gateway-2.output:3: credentials of an Authorization header, in: Bearer …",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	var read []string
	for _, o := range run.outputs {
		read = append(read, o.part)
	}
	if want := []string{"gateway", "redis-server", "tests", "tests"}; !slices.Equal(read, want) {
		t.Errorf("read %q, want %q", read, want)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// What is kept is found where go test puts artifacts.
func TestWhatIsKeptIsRead(t *testing.T) {
	t.Parallel()
	Keep(t, "gateway", []byte("one\ntwo\n"))
	Keep(t, "gateway", nil)
	if found := Find(t, []byte("nothing"), map[string][]string{"a name": {"a value"}}); found != nil {
		t.Errorf("found %q", found)
	}
	run, err := readRun(t.ArtifactDir())
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for _, o := range run.outputs {
		if o.part != "gateway" {
			t.Errorf("read %q", o.part)
		}
		lines += len(o.lines)
	}
	if len(run.outputs) != 2 || lines != 2 || !slices.Equal(run.secrets["a name"], []string{"a value"}) {
		t.Errorf("read %+v", run)
	}
}
