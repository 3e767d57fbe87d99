package otelevents

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	api "go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/tokenlife/tokenlife/refresh/event"
)

func TestEachEventIsRecordedAndMarked(t *testing.T) {
	err := errors.New("no route to host")
	const took = 300 * time.Millisecond
	for _, tt := range []struct {
		name   string
		event  event.Event
		values map[string]float64 // what the metrics get, a histogram's sum
		span   string             // the event on the span and its attributes, or none
	}{
		{
			"a cookie is good",
			event.Event{Kind: event.Verified, Issuer: "https://a.example", Subject: "ann"},
			map[string]float64{"tokenlife.events{tokenlife.bearer=false,tokenlife.event=verified}": 1},
			"",
		},
		{
			"a bearer token is good",
			event.Event{Kind: event.Verified, Bearer: true},
			map[string]float64{"tokenlife.events{tokenlife.bearer=true,tokenlife.event=verified}": 1},
			"",
		},
		{
			"a request is refused",
			event.Event{Kind: event.Refused, Reason: "expired", Err: err},
			map[string]float64{"tokenlife.events{error.type=expired,tokenlife.event=refused}": 1},
			"tokenlife.refused{error.type=expired,tokenlife.error.message=no route to host}",
		},
		{
			"a login is refreshed",
			event.Event{Kind: event.Refreshed, Cause: "due", Took: took, Subject: "ann"},
			map[string]float64{"tokenlife.refresh.duration{tokenlife.refresh.cause=due,tokenlife.refresh.result=refreshed}": .3},
			"tokenlife.refreshed{tokenlife.duration=0.3,tokenlife.refresh.cause=due,tokenlife.refresh.result=refreshed}",
		},
		{
			"old cookies get the tokens that there are",
			event.Event{Kind: event.Refreshed, Cause: "expired", Took: took, Remembered: true},
			map[string]float64{"tokenlife.refresh.duration{tokenlife.refresh.cause=expired,tokenlife.refresh.result=remembered}": .3},
			"tokenlife.refreshed{tokenlife.duration=0.3,tokenlife.refresh.cause=expired,tokenlife.refresh.result=remembered}",
		},
		{
			"a refresh fails",
			event.Event{Kind: event.RefreshFailed, Cause: "expired", Took: took, Err: err},
			map[string]float64{"tokenlife.refresh.duration{tokenlife.refresh.cause=expired,tokenlife.refresh.result=refresh_failed}": .3},
			"tokenlife.refresh_failed{tokenlife.duration=0.3,tokenlife.error.message=no route to host," +
				"tokenlife.refresh.cause=expired,tokenlife.refresh.result=refresh_failed}",
		},
		{
			"somebody signs in",
			event.Event{Kind: event.SignedIn, Issuer: "https://a.example", Subject: "ann"},
			map[string]float64{"tokenlife.events{tokenlife.event=signed_in}": 1},
			"tokenlife.signed_in{}",
		},
		{
			"a sign-in goes astray",
			event.Event{Kind: event.SignInFailed, Err: err},
			map[string]float64{"tokenlife.events{error.type=_OTHER,tokenlife.event=sign_in_failed}": 1},
			"tokenlife.sign_in_failed{error.type=_OTHER,tokenlife.error.message=no route to host}",
		},
		{
			"seven wait for the provider",
			event.Event{Kind: event.ProviderCalled, Outcome: event.OutcomeExchanged, Waiters: 7, Took: took},
			map[string]float64{
				"tokenlife.provider.call.duration{tokenlife.provider.call.outcome=exchanged}": .3,
				"tokenlife.provider.call.requests{tokenlife.provider.call.outcome=exchanged}": 7,
			},
			"tokenlife.provider_called{tokenlife.duration=0.3,tokenlife.provider.call.outcome=exchanged,tokenlife.provider.call.waiters=7}",
		},
		{
			"the store is down",
			event.Event{Kind: event.StoreDegraded, Err: err},
			map[string]float64{"tokenlife.events{error.type=_OTHER,tokenlife.event=store_degraded}": 1},
			"tokenlife.store_degraded{error.type=_OTHER,tokenlife.error.message=no route to host}",
		},
		{
			"keys are fetched",
			event.Event{Kind: event.KeysFetched, Issuer: "https://a.example", Keys: 3, Took: took},
			map[string]float64{"tokenlife.key_set.fetch.duration{}": .3},
			"tokenlife.keys_fetched{tokenlife.duration=0.3,tokenlife.issuer=https://a.example,tokenlife.key_set.keys=3}",
		},
		{
			"keys are fetched, and one is of no use",
			event.Event{Kind: event.KeysFetched, Issuer: "https://a.example", Keys: 3, LeftOut: []string{"entry 1: no kty"}, Took: took},
			map[string]float64{"tokenlife.key_set.fetch.duration{}": .3},
			`tokenlife.keys_fetched{tokenlife.duration=0.3,tokenlife.issuer=https://a.example,tokenlife.key_set.keys=3,tokenlife.key_set.left_out=["entry 1: no kty"]}`,
		},
		{
			"keys are not to be had",
			event.Event{Kind: event.KeysFetched, Issuer: "https://a.example", Took: took, Err: err},
			map[string]float64{"tokenlife.key_set.fetch.duration{error.type=_OTHER}": .3},
			"tokenlife.keys_fetched{error.type=_OTHER,tokenlife.duration=0.3,tokenlife.error.message=no route to host," +
				"tokenlife.issuer=https://a.example,tokenlife.key_set.keys=0}",
		},
		{
			"a handle comes twice",
			event.Event{Kind: event.HandleReused, Issuer: "https://a.example", Subject: "ann"},
			map[string]float64{"tokenlife.events{tokenlife.event=handle_reused}": 1},
			"tokenlife.handle_reused{}",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			reader, spans := metric.NewManualReader(), tracetest.NewSpanRecorder()
			meters := metric.NewMeterProvider(metric.WithReader(reader))
			tracers := trace.NewTracerProvider(trace.WithSpanProcessor(spans))
			o, err := New(meters.Meter("test"))
			if err != nil {
				t.Fatal(err)
			}
			ctx, span := tracers.Tracer("test").Start(t.Context(), "a request")
			o.Observe(ctx, tt.event)
			span.End()
			o.Observe(t.Context(), tt.event) // without a span, nothing breaks
			for series := range tt.values {
				tt.values[series] *= 2
			}
			if got := collect(t, reader); !maps.Equal(got, tt.values) {
				t.Errorf("the metrics are %v, want %v", got, tt.values)
			}
			var marks []string
			for _, e := range spans.Ended()[0].Events() {
				marks = append(marks, e.Name+text(attribute.NewSet(e.Attributes...)))
			}
			if got := strings.Join(marks, " "); got != tt.span {
				t.Errorf("the span has %s\nwant %s", got, tt.span)
			}
		})
	}
}

// An instrument that cannot be had is told of, not found missing later.
func TestInstrumentsThatFail(t *testing.T) {
	if _, err := New(failing{}); err == nil || !strings.Contains(err.Error(), "no counters today") {
		t.Errorf("the error is %v", err)
	}
}

type failing struct{ noop.Meter }

func (failing) Int64Counter(string, ...api.Int64CounterOption) (api.Int64Counter, error) {
	return nil, errors.New("no counters today")
}

func BenchmarkAVerifiedRequest(b *testing.B) {
	meters := metric.NewMeterProvider(metric.WithReader(metric.NewManualReader()))
	o, err := New(meters.Meter("test"))
	if err != nil {
		b.Fatal(err)
	}
	e, ctx := event.Event{Kind: event.Verified}, b.Context()
	b.ReportAllocs()
	for b.Loop() {
		o.Observe(ctx, e)
	}
}

// collect returns the value of each series that has one.
func collect(t *testing.T, reader metric.Reader) map[string]float64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				if !strings.HasPrefix(m.Unit, "{") || !data.IsMonotonic {
					t.Errorf("the counter %s has the unit %q", m.Name, m.Unit)
				}
				for _, p := range data.DataPoints {
					values[m.Name+text(p.Attributes)] = float64(p.Value)
				}
			case metricdata.Histogram[float64]:
				if m.Unit != "s" || !strings.HasSuffix(m.Name, ".duration") {
					t.Errorf("the histogram %s has the unit %q", m.Name, m.Unit)
				}
				for _, p := range data.DataPoints {
					values[m.Name+text(p.Attributes)] = p.Sum
				}
			default:
				t.Errorf("%s is a %T", m.Name, data)
			}
		}
	}
	return values
}

// text is a set of attributes as it can be read.
func text(set attribute.Set) string {
	var pairs []string
	for _, kv := range set.ToSlice() {
		pairs = append(pairs, fmt.Sprintf("%s=%s", kv.Key, kv.Value.String()))
	}
	slices.Sort(pairs)
	return "{" + strings.Join(pairs, ",") + "}"
}
