package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/login"
)

// observe turns what happens to requests and logins into lines of the log.
func (g *gateway) observe(ctx context.Context, e middleware.Event) {
	level := levelOf(e)
	if !g.log.Enabled(ctx, level) {
		return
	}
	var attrs []slog.Attr
	if e.Err != nil {
		attrs = append(attrs, slog.String("error", e.Err.Error()))
	}
	if e.Cause != "" {
		attrs = append(attrs, slog.String("cause", e.Cause), slog.Int64("took_ms", e.Took.Milliseconds()))
	}
	if e.Subject != "" {
		attrs = append(attrs, slog.String("issuer", e.Issuer), slog.String("subject", e.Subject))
	}
	g.log.LogAttrs(ctx, level, string(e.Kind), attrs...)
}

// levelOf tells what somebody should look at from what happens all day.
func levelOf(e middleware.Event) slog.Level {
	switch e.Kind {
	case middleware.OtherSubject, middleware.CookiesFailed:
		return slog.LevelError
	case middleware.RefreshFailed, login.Failed:
		return slog.LevelWarn
	case middleware.SignedOut:
		if e.Err != nil {
			return slog.LevelWarn // signed out here, but not at the provider
		}
	case middleware.Refused:
		var refusal *middleware.Refusal
		if errors.As(e.Err, &refusal) && refusal.Status == http.StatusServiceUnavailable {
			return slog.LevelWarn
		}
		return slog.LevelDebug
	case middleware.Refreshed:
		return slog.LevelDebug // a thousand requests that share one
	}
	return slog.LevelInfo
}

// degradedEvery is how often a store that is down is told of at most.
const degradedEvery = 10 * time.Second

// degraded tells that replicas coordinate each for itself, since the store does
// not do its part.
func (g *gateway) degraded(ctx context.Context, err error) {
	now := time.Now().UnixNano()
	last := g.toldDegraded.Load()
	if now-last < int64(degradedEvery) || !g.toldDegraded.CompareAndSwap(last, now) {
		return
	}
	g.log.WarnContext(ctx, "store_degraded", "error", err.Error())
}
