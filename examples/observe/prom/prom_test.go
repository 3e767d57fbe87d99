package prom

import (
	"errors"
	"maps"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/tokenlife/tokenlife/examples/internal/source"
	"github.com/tokenlife/tokenlife/refresh/event"
)

func TestEachEventIsCountedOnceAndAddsNoSeries(t *testing.T) {
	for _, tt := range events {
		t.Run(tt.name, func(t *testing.T) {
			registry := prometheus.NewRegistry()
			m := mustNew(t, registry)
			_, before := scrape(t, registry)
			m.tell(t.Context(), tt.event)
			text, after := scrape(t, registry)
			changed := map[string]float64{}
			for series, value := range after {
				was, known := before[series]
				if !known {
					t.Errorf("a new series: %s", series)
				}
				series = strings.TrimPrefix(series, "tokenlife_")
				ofHistogram := strings.Contains(series, "_seconds_bucket") || strings.Contains(series, "_seconds_count")
				if _, wanted := tt.want[series]; value != was && (wanted || !ofHistogram) {
					changed[series] = value - was
				}
			}
			if !maps.Equal(changed, tt.want) {
				t.Errorf("changed is %v, want %v", changed, tt.want)
			}
			for _, private := range []string{"tenant.example", "ann@", "a login's name", "words of its own"} {
				if strings.Contains(text, private) {
					t.Errorf("the metrics tell %q", private)
				}
			}
		})
	}
}

// What a package adds to its kinds has a metric, or this fails.
func TestEveryKindOutcomeReasonAndCauseIsKnown(t *testing.T) {
	known := map[string]bool{}
	for _, e := range events {
		known[string(e.event.Kind)], known[string(e.event.Outcome)] = true, true
	}
	const root = "../../../"
	kinds := source.Constants(t, root+"refresh/event", "Kind", "Outcome")
	for _, kind := range kinds {
		if !known[kind] {
			t.Errorf("nothing counts %q", kind)
		}
	}
	if len(kinds) != 26 {
		t.Errorf("%d kinds and outcomes were found", len(kinds))
	}

	m := mustNew(t, prometheus.NewRegistry())
	reasons := source.Returned(t, root+"middleware/event.go", "reasonOf")
	if len(reasons) < 11 {
		t.Errorf("only the reasons %q were found", reasons)
	}
	for _, reason := range reasons {
		if m.refused[reason] == nil {
			t.Errorf("the reason %q is counted as another", reason)
		}
	}
	for _, cause := range append(source.Returned(t, root+"middleware/event.go", "causeOf"), "marker", "answer", "asked") {
		if m.refreshes[cause] == nil {
			t.Errorf("the cause %q is counted as another", cause)
		}
	}
}

func TestNamesAndNumberAreAsPrometheusRecommends(t *testing.T) {
	registry := prometheus.NewRegistry()
	mustNew(t, registry)
	text, series := scrape(t, registry)
	if len(series) >= 300 {
		t.Errorf("there are %d series", len(series))
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v: %v", problems, err)
	}
}

func TestNothingIsRegisteredTwice(t *testing.T) {
	registry := prometheus.NewRegistry()
	mustNew(t, registry)
	if m, err := New(registry); m != nil || !errors.As(err, new(prometheus.AlreadyRegisteredError)) {
		t.Errorf("the second is %v, %v", m, err)
	}
}

func TestARequestCostsNoAllocation(t *testing.T) {
	m, ctx := mustNew(t, prometheus.NewRegistry()), t.Context()
	for _, e := range []event.Event{
		{Kind: event.Verified},
		{Kind: event.Refused, Reason: "no_token", Err: errTest},
		{Kind: event.Refreshed, Cause: "expired", Took: took},
	} {
		if n := testing.AllocsPerRun(100, func() { m.Observe(ctx, e) }); n != 0 {
			t.Errorf("%s: %v allocations", e.Kind, n)
		}
	}
}

func BenchmarkAVerifiedRequest(b *testing.B) {
	m, ctx := mustNew(b, prometheus.NewRegistry()), b.Context()
	e := event.Event{Kind: event.Verified, Issuer: "https://tenant.example", Subject: "ann"}
	b.ReportAllocs()
	for b.Loop() {
		m.Observe(ctx, e)
	}
}

func mustNew(t testing.TB, r prometheus.Registerer) *Metrics {
	t.Helper()
	m, err := New(r)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// scrape returns what Prometheus gets, and the value of each series in it.
func scrape(t *testing.T, g prometheus.Gatherer) (text string, series map[string]float64) {
	t.Helper()
	w := httptest.NewRecorder()
	promhttp.HandlerFor(g, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	text, series = w.Body.String(), map[string]float64{}
	for line := range strings.Lines(text) {
		name, number, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		value, err := strconv.ParseFloat(number, 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		series[name] = value
	}
	if len(series) == 0 {
		t.Fatal("there are no metrics")
	}
	return text, series
}
