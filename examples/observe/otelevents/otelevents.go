// Package otelevents turns events into OpenTelemetry metrics, and into events on
// the span of the request that they happen to. It is made to be copied: each of
// its methods fits into the Observe of one part.
//
//	o, err := otelevents.New(otel.Meter("github.com/tokenlife/tokenlife"))
//	…
//	tokens.Observe = o.Keys
//	coordinator := &refresh.Coordinator{Refresher: client, Observe: o.Calls}
//	auth := &middleware.Auth{Verifier: tokens, Refresher: coordinator, Observe: o.Auth}
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

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/sessions"
)

// The names of attributes. What failed has error.type, as the semantic
// conventions have it; the others are tokenLife's own.
const (
	event     = attribute.Key("tokenlife.event")
	bearer    = attribute.Key("tokenlife.bearer")
	cause     = attribute.Key("tokenlife.refresh.cause")
	result    = attribute.Key("tokenlife.refresh.result")
	outcome   = attribute.Key("tokenlife.provider.call.outcome")
	waiters   = attribute.Key("tokenlife.provider.call.waiters")
	keys      = attribute.Key("tokenlife.key_set.keys")
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
		header: counted(middleware.Verified, bearer.Bool(true)),
		cookie: counted(middleware.Verified, bearer.Bool(false)),
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

func counted(kind middleware.Kind, more ...attribute.KeyValue) []metric.AddOption {
	return []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(append(more, event.String(string(kind)))...))}
}

// Auth records the events of a middleware.Auth. A request that was simply
// verified leaves no mark on its span.
func (o *Events) Auth(ctx context.Context, e middleware.Event) {
	switch {
	case e.Kind == middleware.Verified && e.Bearer:
		o.events.Add(ctx, 1, o.header...)
	case e.Kind == middleware.Verified:
		o.events.Add(ctx, 1, o.cookie...)
	case e.Cause != "":
		what := string(e.Kind)
		if e.Remembered {
			what = "remembered"
		}
		o.refresh.Record(ctx, e.Took.Seconds(), metric.WithAttributes(cause.String(e.Cause), result.String(what)))
		mark(ctx, string(e.Kind), e.Err, cause.String(e.Cause), result.String(what), seconds(e.Took))
	default:
		why := failure(e.Reason, e.Err)
		o.events.Add(ctx, 1, counted(e.Kind, why...)...)
		mark(ctx, string(e.Kind), e.Err, why...)
	}
}

// Calls records the events of a refresh.Coordinator. The span is that of the
// request that came first, if it has not ended.
func (o *Events) Calls(ctx context.Context, e refresh.Event) {
	if e.Kind != refresh.Called {
		why := failure("", e.Err)
		o.events.Add(ctx, 1, counted(middleware.Kind(e.Kind), why...)...)
		mark(ctx, string(e.Kind), e.Err, why...)
		return
	}
	became := outcome.String(string(e.Outcome))
	o.call.Record(ctx, e.Took.Seconds(), metric.WithAttributes(became))
	o.waiting.Add(ctx, int64(e.Waiters), metric.WithAttributes(became))
	mark(ctx, string(e.Kind), e.Err, became, waiters.Int(e.Waiters), seconds(e.Took))
}

// Keys records the events of a verify.JWT. The issuer is told to the span alone:
// verify.JWT.Lookup can find any number of them.
func (o *Events) Keys(ctx context.Context, e verify.Event) {
	why := failure("", e.Err)
	o.fetch.Record(ctx, e.Took.Seconds(), metric.WithAttributes(why...))
	mark(ctx, string(e.Kind), e.Err, append(why, attribute.String("tokenlife.issuer", e.Issuer), keys.Int(e.Keys), seconds(e.Took))...)
}

// Sessions records the events of sessions.Sessions, or of a local.Issuer.
func (o *Events) Sessions(ctx context.Context, e sessions.Event) {
	kind := "session_" + string(e.Kind)
	o.events.Add(ctx, 1, counted(middleware.Kind(kind))...)
	mark(ctx, kind, nil)
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

// mark adds an event to the span in ctx, where one is recorded.
func mark(ctx context.Context, kind string, err error, more ...attribute.KeyValue) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	if err != nil {
		more = append(more, message.String(err.Error()))
	}
	span.AddEvent("tokenlife."+kind, trace.WithAttributes(more...))
}
