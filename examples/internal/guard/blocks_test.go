package guard

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tokenlife/tokenlife/examples/internal/need"
)

// Code that a README shows is copied. So it stands, but for its indentation, in a
// file that is built: as a whole, or from its first line to its last.
func TestGoCodeOfTheREADMEsIsCompiled(t *testing.T) {
	var sources []string
	for _, name := range files(t, func(name string) bool { return strings.HasSuffix(name, ".go") }) {
		sources = append(sources, flat(readFile(t, name)))
	}
	for _, r := range readmes(t) {
		for _, b := range r.blocks {
			if b.language == "go" && !slices.ContainsFunc(sources, func(source string) bool { return strings.Contains(source, flat(b.text)) }) {
				t.Errorf("%s shows code that is in no file:\n%s", r.name, b.text)
			}
		}
	}
}

// flat returns code without its indentation and empty lines.
func flat(code string) string {
	var b strings.Builder
	b.WriteByte('\n')
	for line := range strings.Lines(code) {
		if line = strings.TrimSpace(line); line != "" {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

// Whether scripts do what they are shown for is told by the tests of the pages
// that have them; here, that they can be parsed.
func TestScriptsOfTheREADMEsAreParsed(t *testing.T) {
	need.Tool(t, "node", "Node.js 20 or newer; on Debian: apt-get install nodejs")
	parsed := 0
	for _, r := range readmes(t) {
		for _, b := range r.blocks {
			if b.language != "js" {
				continue
			}
			parsed++
			file := filepath.Join(t.TempDir(), "block.mjs")
			if err := os.WriteFile(file, []byte(b.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.CommandContext(t.Context(), "node", "--check", file).CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", r.name, err, out)
			}
		}
	}
	if parsed == 0 {
		t.Error("there are none")
	}
}
