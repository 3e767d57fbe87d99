package main

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tokenlife/tokenlife/examples/observe/prom"
)

// A panel of a dashboard, as far as it is looked at here.
type panel struct {
	ID                       int
	Type, Title, Description string
	GridPos                  struct{ X, Y, W, H int }
	Datasource               struct{ Type, UID string }
	FieldConfig              struct{ Defaults struct{ Unit string } }
	Options                  struct{ Content string }
	Targets                  []struct {
		Expr, RefID string
		Datasource  struct{ UID string }
	}
	Panels []panel // of a row that is folded up
}

type dashboard struct {
	SchemaVersion int
	Title, UID    string
	Panels        []panel
	Templating    struct {
		List []struct{ Name, Type string }
	}
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	text, err := os.ReadFile("dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// exported returns the values of each label of each metric, by the names of its
// series. All series are there from the start.
func exported(t *testing.T) (series map[string]map[string][]string, metrics map[string]string) {
	t.Helper()
	registry := prometheus.NewRegistry()
	if _, err := prom.New(registry); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	series, metrics = map[string]map[string][]string{}, map[string]string{}
	for _, f := range families {
		labels := map[string][]string{}
		for _, m := range f.Metric {
			for _, l := range m.Label {
				labels[l.GetName()] = append(labels[l.GetName()], l.GetValue())
			}
		}
		names := []string{f.GetName()}
		if f.Metric[0].Histogram != nil {
			names = []string{f.GetName() + "_bucket", f.GetName() + "_sum", f.GetName() + "_count"}
		}
		for _, name := range names {
			series[name], metrics[name] = labels, f.GetName()
		}
	}
	return series, metrics
}

var (
	// A metric's name, with matchers of labels if there are any.
	selector = regexp.MustCompile(`\b(tokenlife_[a-z_]+)(?:\{([^}]*)\})?`)
	matcher  = regexp.MustCompile(`([a-z_]+)(=~|=)"([^"]*)"`)
	grouping = regexp.MustCompile(`by \(([a-z_]+)\) \(rate\((tokenlife_[a-z_]+)`)
	legend   = regexp.MustCompile(`by \(`)
)

func TestTheDashboardShowsWhatIsExportedAndAllOfIt(t *testing.T) {
	series, metrics := exported(t)
	shown := map[string]bool{}
	for _, p := range readDashboard(t).Panels {
		for _, target := range p.Targets {
			found := selector.FindAllStringSubmatch(target.Expr, -1)
			if len(found) == 0 {
				t.Errorf("%s: %s shows no metric", p.Title, target.Expr)
			}
			for _, f := range found {
				labels, ok := series[f[1]]
				if !ok {
					t.Errorf("%s: nothing exports %s", p.Title, f[1])
				}
				shown[metrics[f[1]]] = true
				for _, m := range matcher.FindAllStringSubmatch(f[2], -1) {
					if m[1] == "job" || m[1] == "instance" { // Prometheus adds these
						continue
					}
					if m[2] != "=" || !slices.Contains(labels[m[1]], m[3]) {
						t.Errorf("%s: nothing exports %s{%s}", p.Title, f[1], m[0])
					}
				}
			}
			groups := grouping.FindAllStringSubmatch(target.Expr, -1)
			if len(groups) != len(legend.FindAllString(target.Expr, -1)) {
				t.Errorf("%s: %s groups by something that this test does not understand", p.Title, target.Expr)
			}
			for _, g := range groups {
				if _, ok := series[g[2]][g[1]]; !ok && (g[1] != "le" || !strings.HasSuffix(g[2], "_bucket")) {
					t.Errorf("%s: %s has no label %s", p.Title, g[2], g[1])
				}
			}
		}
	}
	for _, metric := range metrics {
		if !shown[metric] {
			t.Errorf("no panel shows %s", metric)
		}
	}
}

func TestTheDashboardIsWhole(t *testing.T) {
	d := readDashboard(t)
	if d.SchemaVersion < 42 || d.Title == "" || d.UID == "" {
		t.Errorf("version %d of the schema, title %q, UID %q", d.SchemaVersion, d.Title, d.UID)
	}
	if v := d.Templating.List; len(v) == 0 || v[0].Name != "datasource" || v[0].Type != "datasource" {
		t.Error("the first variable is not the data source")
	}
	ids, rows, explained := map[int]bool{}, []string{}, false
	for i, p := range d.Panels {
		if p.ID <= 0 || ids[p.ID] {
			t.Errorf("%s: the ID %d is used twice, or none", p.Title, p.ID)
		}
		ids[p.ID] = true
		switch p.Type {
		case "row":
			rows = append(rows, p.Title)
			if len(p.Panels) != 0 {
				t.Errorf("%s: panels that this test does not look at", p.Title)
			}
		case "text":
			explained = strings.Contains(p.Options.Content, "signed out unexpectedly")
		default:
			if p.Description == "" || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 {
				t.Errorf("%s: no description, unit or query", p.Title)
			}
			if p.Datasource.Type != "prometheus" || p.Datasource.UID != "${datasource}" {
				t.Errorf("%s: another data source", p.Title)
			}
			refs := map[string]bool{}
			for _, target := range p.Targets {
				if target.RefID == "" || refs[target.RefID] || target.Datasource.UID != "${datasource}" {
					t.Errorf("%s: a query has no name or data source of its own", p.Title)
				}
				refs[target.RefID] = true
			}
		}
		g := p.GridPos
		if g.W <= 0 || g.H <= 0 || g.X < 0 || g.Y < 0 || g.X+g.W > 24 {
			t.Errorf("%s is at %+v", p.Title, g)
		}
		for _, q := range d.Panels[:i] {
			if o := q.GridPos; g.X < o.X+o.W && o.X < g.X+g.W && g.Y < o.Y+o.H && o.Y < g.Y+g.H {
				t.Errorf("%s covers %s", p.Title, q.Title)
			}
		}
	}
	if want := []string{"Requests", "Refreshes", "Provider", "Keys and store", "Logins"}; !slices.Equal(rows, want) {
		t.Errorf("the rows are %q, want %q", rows, want)
	}
	if !explained {
		t.Error("nothing explains what to look at")
	}
}

// What the READMEs and the explanations name is there.
func TestTheExplanationsNameWhatIsExported(t *testing.T) {
	series, metrics := exported(t)
	short := regexp.MustCompile("`((?:tokenlife_)?[a-z_]+(?:_total|_seconds|_seconds_count|_seconds_bucket))(?:\\{([^}]*)\\})?`")
	for _, name := range []string{"README.md", "../gateway/README.md"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		found := append(short.FindAllStringSubmatch(string(text), -1), selector.FindAllStringSubmatch(string(text), -1)...)
		if len(found) < 8 {
			t.Errorf("%s names only %d metrics", name, len(found))
		}
		named := map[string]bool{}
		for _, f := range found {
			metric := "tokenlife_" + strings.TrimPrefix(f[1], "tokenlife_")
			labels, ok := series[metric]
			if !ok {
				labels, ok = series[metric+"_count"] // a histogram by its name
				metric += "_count"
			}
			if !ok {
				t.Errorf("%s: nothing exports %s", name, f[0])
				continue
			}
			named[metrics[metric]] = true
			for _, m := range matcher.FindAllStringSubmatch(f[2], -1) {
				for value := range strings.SplitSeq(m[3], "|") {
					if !slices.Contains(labels[m[1]], value) {
						t.Errorf("%s: nothing exports %s", name, f[0])
					}
				}
			}
		}
		if name == "README.md" {
			continue
		}
		for _, metric := range metrics {
			if !named[metric] {
				t.Errorf("%s does not name %s", name, metric)
			}
		}
		rows := regexp.MustCompile("(?m)^\\| `(tokenlife_[a-z_]+)` \\| (.*) \\| .* \\|$").FindAllStringSubmatch(string(text), -1)
		for _, row := range rows {
			labels, ok := series[row[1]]
			if !ok {
				labels = series[row[1]+"_count"]
			}
			for _, label := range regexp.MustCompile("`([a-z_]+)`(?:: ([a-z_, ]+))?").FindAllStringSubmatch(row[2], -1) {
				if labels[label[1]] == nil {
					t.Errorf("%s: %s has no label %s", name, row[1], label[1])
				}
				if got, want := words(strings.Split(label[2], ", ")), words(labels[label[1]]); label[2] != "" && !slices.Equal(got, want) {
					t.Errorf("%s: %s has %s %q, and not %q", name, row[1], label[1], want, got)
				}
			}
		}
	}
}

// words returns each of these once, in order, but not what stands for all others.
func words(of []string) []string {
	of = slices.DeleteFunc(slices.Sorted(slices.Values(of)), func(s string) bool { return s == "other" || s == "" })
	return slices.Compact(of)
}
