package source_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tokenlife/tokenlife/examples/internal/source"
)

func TestWhatIsFoundInCode(t *testing.T) {
	folder := t.TempDir()
	const code = `package p

import "q"

type Kind string

const (
	One Kind = "one" // a comment
	Two Kind = "two"
)

const Three q.Kind = "three"

const (
	Four  Outcome = "four"
	other         = "other"
	limit int     = 5
)

func word(n int) string {
	if n > limit {
		return "many"
	}
	return "few"
}
`
	for name, text := range map[string]string{
		"a.go":      code,
		"b.go":      "package p\n\nconst Five Kind = `five`\n",
		"b_test.go": "package p\n\nconst test Kind = `of a test`\n",
		"c.txt":     "no code",
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		about     string
		got, want []string
	}{
		{"one type", source.Constants(t, folder, "Kind"), []string{"one", "two", "three", "five"}},
		{"two types", source.Constants(t, folder, "Kind", "Outcome"), []string{"one", "two", "three", "four", "five"}},
		{"no such type", source.Constants(t, folder, "Colour"), nil},
		{"a function", source.Returned(t, filepath.Join(folder, "a.go"), "word"), []string{"many", "few"}},
	} {
		if !slices.Equal(tt.got, tt.want) {
			t.Errorf("%s: found are %q, want %q", tt.about, tt.got, tt.want)
		}
	}
}
