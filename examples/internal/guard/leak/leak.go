// Package leak looks for secrets in what a program has written.
package leak

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"testing"
)

// window is how much of a secret is a leak: as many characters of it, in a row,
// as nobody needs to tell two secrets apart.
const window = 12

// Find returns those names of secrets whose value, or 12 characters in a row of
// it, are in output; each name once, in no order. A value may be shorter than
// 12 characters: then the whole of it counts, if it has 6 or more.
//
// The secrets are kept among the test's artifacts, so that a whole run can be
// looked through for those of each of its tests.
func Find(t testing.TB, output []byte, secrets map[string][]string) []string {
	t.Helper()
	Secrets(t, secrets)
	return find(output, secrets)
}

// Secrets keeps what no output of the run may have, by its name, among the test's
// artifacts.
func Secrets(t testing.TB, secrets map[string][]string) {
	t.Helper()
	text, err := json.Marshal(secrets)
	if err != nil {
		t.Fatal(err)
	}
	keep(t, secretsFile, text)
}

// Keep keeps what a part of a test has written, a program or a server, among the
// test's artifacts: with go test -artifacts they outlive it, for a look through
// what a whole run has written.
func Keep(t testing.TB, part string, output []byte) {
	t.Helper()
	keep(t, part+outputFile, output)
}

// The patterns of the files that are kept.
const (
	secretsFile = "-*.secrets"
	outputFile  = "-*.output"
)

func keep(t testing.TB, pattern string, text []byte) {
	t.Helper()
	file, err := os.CreateTemp(t.ArtifactDir(), pattern)
	if errors.Is(err, fs.ErrNotExist) {
		return // at the end of a test whose artifacts nobody wants, they may be gone
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.Write(text); err != nil {
		t.Fatal(err)
	}
}

func find(output []byte, secrets map[string][]string) []string {
	const short = 6
	written := map[string]bool{} // every run of each length that matters
	for length := short; length <= window; length++ {
		for i := range len(output) - length + 1 {
			written[string(output[i:i+length])] = true
		}
	}
	var found []string
	for name, values := range secrets {
		if anyLeaks(written, values, short) {
			found = append(found, name)
		}
	}
	return found
}

func anyLeaks(written map[string]bool, values []string, short int) bool {
	for _, value := range values {
		if len(value) < short {
			continue
		}
		length := min(len(value), window)
		for i := range len(value) - length + 1 {
			if written[value[i:i+length]] {
				return true
			}
		}
	}
	return false
}
