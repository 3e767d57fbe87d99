package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/exporters/stdout/stdoutmetric"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	"go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// telemetry is OpenTelemetry as a program sets it up for all its parts. This one
// writes JSON; the exporters of otlptracehttp and otlpmetrichttp, in their place,
// send it to a collector.
type telemetry struct {
	meters *metric.MeterProvider
	traces *sdktrace.TracerProvider
}

func startTelemetry(w io.Writer) (*telemetry, error) {
	metrics, err := stdoutmetric.New(stdoutmetric.WithWriter(w))
	if err != nil {
		return nil, err
	}
	spans, err := stdouttrace.New(stdouttrace.WithWriter(w))
	if err != nil {
		return nil, err
	}
	return &telemetry{
		meters: metric.NewMeterProvider(metric.WithReader(metric.NewPeriodicReader(metrics, metric.WithInterval(10*time.Second)))),
		traces: sdktrace.NewTracerProvider(sdktrace.WithBatcher(spans)),
	}, nil
}

// stop writes what has not been written.
func (t *telemetry) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return errors.Join(t.traces.Shutdown(ctx), t.meters.Shutdown(ctx))
}

// traced gives each request a span, as otelhttp.NewHandler does with more
// attributes. The events find it in the request's context.
func (t *telemetry) traced(next http.Handler) http.Handler {
	tracer := t.traces.Tracer("observe")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, span := tracer.Start(r.Context(), r.Method, trace.WithSpanKind(trace.SpanKindServer))
		defer span.End()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}
