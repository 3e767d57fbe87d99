package main

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/sessions"
)

// What happens becomes lines of the log: the kind is the message, and the event
// says how much it matters and what is to be told of it. It is counted as well,
// if there are metrics.

func (g *gateway) observe(ctx context.Context, e middleware.Event) {
	if g.metrics != nil {
		g.metrics.Auth(ctx, e)
	}
	if e.Kind == middleware.RevocationsFailed && !g.revocationsFailed.now() {
		return
	}
	// Asked first, since this is told of every request.
	if level := e.Level(); g.log.Enabled(ctx, level) {
		g.log.LogAttrs(ctx, level, string(e.Kind), slog.Any("", e))
	}
}

func (g *gateway) observeKeys(ctx context.Context, e verify.Event) {
	if g.metrics != nil {
		g.metrics.Keys(ctx, e)
	}
	g.log.LogAttrs(ctx, e.Level(), string(e.Kind), slog.Any("", e))
}

func (g *gateway) observeSession(ctx context.Context, e sessions.Event) {
	if g.metrics != nil {
		g.metrics.Sessions(ctx, e)
	}
	g.log.LogAttrs(ctx, e.Level(), "session_"+string(e.Kind), slog.Any("", e))
}

func (g *gateway) observeCall(ctx context.Context, e refresh.Event) {
	if g.metrics != nil {
		g.metrics.Calls(ctx, e)
	}
	if e.Kind == refresh.StoreDegraded && !g.storeDegraded.now() {
		return
	}
	g.log.LogAttrs(ctx, e.Level(), string(e.Kind), slog.Any("", e))
}

// seldom keeps what happens at every request while a store is down to one line in
// ten seconds.
type seldom struct{ last atomic.Int64 } // Unix nanoseconds

func (s *seldom) now() bool {
	now, last := time.Now().UnixNano(), s.last.Load()
	return now-last >= int64(10*time.Second) && s.last.CompareAndSwap(last, now)
}
