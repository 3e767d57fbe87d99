// Package otelevents turns events into OpenTelemetry metrics, and into events on
// the span of the request that they happen to. It is made to be copied: its
// Observe hears all that a middleware.Auth and what it uses tell.
//
//	o, err := otelevents.New(otel.Meter("github.com/tokenlife/tokenlife"))
//	…
//	auth := &middleware.Auth{Verifier: tokens, Refresher: coordinator, Observe: o.Observe}
//
// The attributes of metrics are words of fixed lists. Spans get the error's text
// as well, in which there is no secret. Neither gets a subject: whose login it
// was is for the log, which has an end.
package otelevents

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/tokenlife/tokenlife/refresh/event"
)

// The names of attributes. What failed has error.type, as the semantic
// conventions have it; the others are tokenLife's own.
const (
	kind      = attribute.Key("tokenlife.event")
	bearer    = attribute.Key("tokenlife.bearer")
	cause     = attribute.Key("tokenlife.refresh.cause")
	result    = attribute.Key("tokenlife.refresh.result")
	outcome   = attribute.Key("tokenlife.provider.call.outcome")
	waiters   = attribute.Key("tokenlife.provider.call.waiters")
	keys      = attribute.Key("tokenlife.key_set.keys")
	leftOut   = attribute.Key("tokenlife.key_set.left_out")
	duration  = attribute.Key("tokenlife.duration") // in seconds
	message   = attribute.Key("tokenlife.error.message")
	errorType = attribute.Key("error.type")
)

// Events records events. Its methods may be called by any number of goroutines.
type Events struct {
	events  metric.Int64Counter     // tokenlife.events
	refresh metric.Float64Histogram // tokenlife.refresh.duration
	call    metric.Float64Histogram // tokenlife.provider.call.duration
	waiting metric.Int64Counter     // tokenlife.provider.call.requests
	fetch   metric.Float64Histogram // tokenlife.key_set.fetch.duration

	header, cookie []metric.AddOption // of verified requests, which are many
}

// New returns Events that go to instruments of m.
func New(m metric.Meter) (*Events, error) {
	o := &Events{
		header: counted(event.Verified, bearer.Bool(true)),
		cookie: counted(event.Verified, bearer.Bool(false)),
	}
	// In seconds: from what memory can answer to more than anybody waits.
	bounds := metric.WithExplicitBucketBoundaries(.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10)
	var failed [5]error
	o.events, failed[0] = m.Int64Counter("tokenlife.events", metric.WithUnit("{event}"),
		metric.WithDescription("What happened to requests and logins."))
	o.refresh, failed[1] = m.Float64Histogram("tokenlife.refresh.duration", metric.WithUnit("s"), bounds,
		metric.WithDescription("How long refreshes took for a request."))
	o.call, failed[2] = m.Float64Histogram("tokenlife.provider.call.duration", metric.WithUnit("s"), bounds,
		metric.WithDescription("How long exchanges of a refresh token took, each for all requests that waited for it."))
	o.waiting, failed[3] = m.Int64Counter("tokenlife.provider.call.requests", metric.WithUnit("{request}"),
		metric.WithDescription("Requests that waited for exchanges of refresh tokens."))
	o.fetch, failed[4] = m.Float64Histogram("tokenlife.key_set.fetch.duration", metric.WithUnit("s"), bounds,
		metric.WithDescription("How long fetches of key sets took."))
	return o, errors.Join(failed[:]...)
}

func counted(k event.Kind, more ...attribute.KeyValue) []metric.AddOption {
	return []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(append(more, kind.String(string(k)))...))}
}

// Observe records an event: it is the Observe of a middleware.Auth, which hands it
// on to what it uses. A request that was simply verified leaves no mark on its
// span. An exchange is marked on the span of the request that came first, if that
// has not ended.
func (o *Events) Observe(ctx context.Context, e event.Event) {
	switch {
	case e.Kind == event.Verified && e.Bearer:
		o.events.Add(ctx, 1, o.header...)
	case e.Kind == event.Verified:
		o.events.Add(ctx, 1, o.cookie...)
	case e.Cause != "":
		what := string(e.Kind)
		if e.Remembered {
			what = "remembered"
		}
		o.refresh.Record(ctx, e.Took.Seconds(), metric.WithAttributes(cause.String(e.Cause), result.String(what)))
		mark(ctx, e, cause.String(e.Cause), result.String(what), seconds(e.Took))
	case e.Kind == event.ProviderCalled:
		became := outcome.String(string(e.Outcome))
		o.call.Record(ctx, e.Took.Seconds(), metric.WithAttributes(became))
		o.waiting.Add(ctx, int64(e.Waiters), metric.WithAttributes(became))
		mark(ctx, e, became, waiters.Int(e.Waiters), seconds(e.Took))
	case e.Kind == event.KeysFetched:
		// The issuer is told to the span alone: verify.JWT.Lookup can find any
		// number of them.
		why := failure("", e.Err)
		o.fetch.Record(ctx, e.Took.Seconds(), metric.WithAttributes(why...))
		told := append(why, attribute.String("tokenlife.issuer", e.Issuer), keys.Int(e.Keys), seconds(e.Took))
		if len(e.LeftOut) > 0 {
			told = append(told, leftOut.StringSlice(e.LeftOut))
		}
		mark(ctx, e, told...)
	default:
		why := failure(e.Reason, e.Err)
		o.events.Add(ctx, 1, counted(e.Kind, why...)...)
		mark(ctx, e, why...)
	}
}

// failure returns the class of an error, where there is one. Only an event's
// reason names it: the text of an error is not of a fixed list.
func failure(reason string, err error) []attribute.KeyValue {
	switch {
	case reason != "":
		return []attribute.KeyValue{errorType.String(reason)}
	case err != nil:
		return []attribute.KeyValue{errorType.String("_OTHER")}
	}
	return nil
}

func seconds(d time.Duration) attribute.KeyValue { return duration.Float64(d.Seconds()) }

// mark adds e to the span in ctx, where one is recorded.
func mark(ctx context.Context, e event.Event, more ...attribute.KeyValue) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	if e.Err != nil {
		more = append(more, message.String(e.Err.Error()))
	}
	span.AddEvent("tokenlife."+string(e.Kind), trace.WithAttributes(more...))
}
