// Package need ends tests that lack something that Go does not bring.
package need

import (
	"os"
	"os/exec"
	"testing"
)

// Missing skips the test, saying what is missing. Where the environment has
// CI=true everything has to be there, and the test fails.
func Missing(t testing.TB, text string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(text)
	}
	t.Skip(text)
}

// Tool returns the path of a program, and is [Missing] where it is not on the
// PATH; install says how to get it.
func Tool(t testing.TB, name, install string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		Missing(t, name+" is not installed: "+install)
	}
	return path
}
