package providers

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tokenlife/tokenlife/examples/internal/program"
)

var update = flag.Bool("update", false, "write the table of README.md anew")

// providers are the table's columns, in its order.
func providers() []provider { return []provider{hydra, dex, zitadel, oidcProvider} }

// TestProviders runs all scenarios at all providers. It takes minutes, so only
// who asks for it gets it.
func TestProviders(t *testing.T) {
	wanted := strings.Split(os.Getenv("PROVIDERS"), ",")
	if wanted[0] == "" {
		t.Skip("PROVIDERS=all builds and starts four providers of others, which takes minutes; PROVIDERS=dex,hydra takes some of them")
	}
	for _, id := range wanted {
		if id != "all" && !slices.ContainsFunc(providers(), func(p provider) bool { return p.id == id }) {
			t.Fatalf("PROVIDERS: there is no %q", id)
		}
	}
	gateway := program.Build(t, "../gateway")
	written := readTable(t)
	got := table{}
	for _, p := range providers() {
		if !slices.Contains(wanted, "all") && !slices.Contains(wanted, p.id) {
			got[p.name] = written[p.name]
			continue
		}
		t.Run(p.id, func(t *testing.T) {
			got[p.name] = newPlace(t, p, gateway, scenarios()).run(t, scenarios())
		})
	}
	t.Logf("\n%s", got.markdown())
	if *update {
		got.write(t)
		return
	}
	for _, p := range providers() {
		for _, s := range scenarios() {
			if is, was := got[p.name][s.name], written[p.name][s.name]; is != was && is != failed {
				t.Errorf("%s, %s: %s\nREADME.md has: %s\nIf that is meant: PROVIDERS=all go test ./examples/providers -update", p.name, s.name, is, was)
			}
		}
	}
}

// The table is whole and tells of no failure, whoever has run what.
func TestTheREADMEHasTheWholeTable(t *testing.T) {
	written := readTable(t)
	if written.markdown() != between(t, readREADME(t)) {
		t.Errorf("the table of README.md has other rows, columns or spaces than these:\n%s", written.markdown())
	}
	for _, p := range providers() {
		for _, s := range scenarios() {
			cell := written[p.name][s.name]
			if cell == "" || cell == failed {
				t.Errorf("%s, %s: README.md has %q", p.name, s.name, cell)
			}
			if why := p.lacks[s.name]; (why != "") != strings.HasPrefix(cell, notOffered) || why != "" && cell != notOffered+why {
				t.Errorf("%s, %s: README.md has %q, and the test %q", p.name, s.name, cell, why)
			}
		}
	}
}

// A table has a cell for each provider and scenario.
type table map[string]map[string]string

// Other cells than pass and what happens.
const (
	failed     = "fails"
	notOffered = "not offered: "
)

// markdown returns the table as README.md has it.
func (t table) markdown() string {
	var b strings.Builder
	line := func(cells []string) { b.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	head := []string{"scenario"}
	for _, p := range providers() {
		head = append(head, p.name)
	}
	line(head)
	line(slices.Repeat([]string{"---"}, len(head)))
	for _, s := range scenarios() {
		cells := []string{s.name}
		for _, p := range providers() {
			cells = append(cells, t[p.name][s.name])
		}
		line(cells)
	}
	return b.String()
}

// The marks in README.md that the table is between.
const (
	begins = "<!-- the table, by go test -->\n"
	ends   = "<!-- its end -->\n"
)

func readREADME(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func between(t *testing.T, text string) string {
	t.Helper()
	_, rest, found := strings.Cut(text, begins)
	inside, _, closed := strings.Cut(rest, ends)
	if !found || !closed {
		t.Fatalf("README.md lacks the lines %q and %q", begins, ends)
	}
	return inside
}

// readTable returns the table of README.md.
func readTable(t *testing.T) table {
	t.Helper()
	read := table{}
	var head []string
	for line := range strings.Lines(between(t, readREADME(t))) {
		line = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(line), "| "), " |")
		cells := strings.Split(line, " | ")
		if head == nil {
			head = cells
			continue
		}
		for i, name := range head[1:] {
			if read[name] == nil {
				read[name] = map[string]string{}
			}
			if i+1 < len(cells) && !strings.HasPrefix(cells[0], "---") {
				read[name][cells[0]] = cells[i+1]
			}
		}
	}
	return read
}

// write puts the table into README.md.
func (t table) write(to *testing.T) {
	to.Helper()
	text := readREADME(to)
	before, _, _ := strings.Cut(text, begins)
	_, after, _ := strings.Cut(text, ends)
	if err := os.WriteFile("README.md", []byte(before+begins+t.markdown()+ends+after), 0o644); err != nil {
		to.Fatal(err)
	}
}
