package guard

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// What one has to hold in the head at once stays small: the core of package refresh,
// its exported names, and the files of package middleware.
func TestWhatOneHasToReadIsBounded(t *testing.T) {
	lines := 0
	for _, name := range []string{
		"coordinator", "flights", "exchange", "ledger", "record", "outage", "arrival", "revoke", "renewal", "event",
	} {
		text, err := os.ReadFile(filepath.Join(root, "refresh", name+".go"))
		if err != nil {
			t.Fatal(err)
		}
		lines += bytes.Count(text, []byte("\n"))
	}
	if lines < 1000 || lines > 1650 {
		t.Errorf("the core of refresh has %d lines, want 1,650 at most", lines)
	}

	api, err := os.ReadFile(filepath.Join(root, "testdata/api.txt"))
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string]bool)
	for _, m := range regexp.MustCompile(`(?m)^pkg refresh, (?:const|func|type|var) (\w+)`).FindAllSubmatch(api, -1) {
		names[string(m[1])] = true
	}
	if len(names) < 10 || len(names) > 50 {
		t.Errorf("package refresh exports %d names, want 50 at most", len(names))
	}

	files, err := filepath.Glob(filepath.Join(root, "middleware/*.go"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 10 || len(files) > 45 {
		t.Errorf("package middleware has %d files, want 45 at most", len(files))
	}
}
