package guard

import (
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tokenlife/tokenlife/examples/internal/source"
)

// A table is one of Markdown: its rows of cells, the head first.
type table [][]string

// tables returns those of a text.
func tables(text string) (all []table) {
	inside := false
	for line := range strings.Lines(text) {
		row, ok := strings.CutPrefix(strings.TrimSpace(line), "|")
		switch {
		case !ok:
			inside = false
			continue
		case strings.Trim(row, "-| ") == "" && strings.Contains(row, "---"):
			continue // between the head and the rest
		case !inside:
			all = append(all, nil)
			inside = true
		}
		var cells []string
		for cell := range strings.SplitSeq(strings.TrimSuffix(row, "|"), "|") {
			cells = append(cells, strings.TrimSpace(cell))
		}
		all[len(all)-1] = append(all[len(all)-1], cells)
	}
	return all
}

// Who looks for a word of the log finds it in the README: all kinds of events that
// the packages have are in its table, and no others.
func TestTheREADMEHasEveryKindOfEvent(t *testing.T) {
	var listed []string
	for _, table := range tables(readFile(t, "README.md")) {
		if table[0][0] != "kind" {
			continue
		}
		for _, row := range table[1:] {
			for _, kind := range codeSpan.FindAllStringSubmatch(row[0], -1) {
				listed = append(listed, kind[1])
			}
		}
	}
	var folders, kinds []string
	for _, name := range files(t, isSource) {
		if folder := path.Dir(name); !strings.HasPrefix(folder+"/", "examples/") && !slices.Contains(folders, folder) {
			folders = append(folders, folder)
			kinds = append(kinds, source.Constants(t, filepath.Join(root, folder), "Kind")...)
		}
	}
	if len(kinds) < 19 {
		t.Errorf("only %d kinds were found", len(kinds))
	}
	for _, kind := range difference(kinds, listed) {
		t.Errorf("README.md does not tell what %q is", kind)
	}
	for _, kind := range difference(listed, kinds) {
		t.Errorf("README.md has %q, which there is not", kind)
	}
	if slices.Sort(listed); len(slices.Compact(slices.Clone(listed))) != len(listed) {
		t.Errorf("README.md has a kind twice: %q", listed)
	}
}

// A comparison that cannot be looked up is an opinion: what stands in a column is
// shown in the section of that project, and version.
func TestTheComparisonIsShownForEveryColumn(t *testing.T) {
	var compared []table
	for _, table := range tables(readFile(t, "README.md")) {
		if len(table[0]) > 1 && table[0][1] == "tokenLife" {
			compared = append(compared, table)
		}
	}
	// In the order of the README's tables; the rest is before and behind them.
	parts := strings.Split(readFile(t, "testdata/comparison.md"), "\n## ")[1:]
	if len(compared) != 2 || len(parts) < len(compared) {
		t.Fatalf("found %d tables in README.md, and %d parts in testdata/comparison.md", len(compared), len(parts))
	}
	for i, table := range compared {
		for _, column := range table[0][1:] {
			if !slices.ContainsFunc(strings.Split(parts[i], "\n### ")[1:], func(section string) bool {
				title, text, _ := strings.Cut(section, "\n")
				return isAbout(title, column) && len(tables(text)) > 0
			}) {
				t.Errorf("testdata/comparison.md shows nothing for %s", column)
			}
		}
		for _, row := range table[1:] {
			if len(row) != len(table[0]) {
				t.Errorf("%q has %d cells, want %d", row[0], len(row), len(table[0]))
			}
			for _, cell := range row {
				if cell == "" || strings.Contains(cell, "not checked") {
					t.Errorf("%q has the cell %q", row[0], cell)
				}
			}
		}
	}
}

// isAbout reports whether a section's title names the project of a column, and a
// version that is the column's, if it has one.
func isAbout(title, column string) bool {
	name, version, _ := strings.Cut(strings.ToLower(column), " ")
	rest, ok := strings.CutPrefix(strings.ToLower(title), name)
	version = strings.TrimPrefix(version, "v")
	if !ok || version == "" || version[0] < '0' || version[0] > '9' {
		return ok
	}
	return rest == " v"+version || rest == " "+version || strings.HasPrefix(rest, " v"+version+".") || strings.HasPrefix(rest, " v"+version+" ")
}

func TestTablesAndTitlesAreRead(t *testing.T) {
	got := tables("text\n\n| a | b |\n| --- | --- |\n| c | |\n\n| d |\n| --- |\n| `e` |\ntext | no\n")
	if len(got) != 2 || len(got[0]) != 2 || len(got[1]) != 2 || got[0][1][0] != "c" || got[0][1][1] != "" || got[1][1][0] != "`e`" {
		t.Errorf("got %q", got)
	}
	for _, tt := range []struct {
		title, column string
		want          bool
	}{
		{"jwt v3.1.0", "jwt v3", true},
		{"jwt v3 (a commit)", "jwt v3", true},
		{"jwt v7", "jwt 7", true},
		{"jwt 2.4", "jwt 2.4", true},
		{"jwt v31.0.0", "jwt v3", false},
		{"jwt v4.0.0", "jwt v3", false},
		{"my-jwt v3.1.0", "jwt v3", false},
		{"tokens-golang", "Tokens (Go)", true},
		{"Auth.js", "Auth.js", true},
	} {
		if got := isAbout(tt.title, tt.column); got != tt.want {
			t.Errorf("%q is about %q: %v", tt.title, tt.column, got)
		}
	}
}
