package refresh

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/tokenlife/tokenlife/refresh/event"
)

// ObserveDefault implements [event.Observable]: h hears what the Coordinator
// tells where Observe is nil. The Refresher gets it as well.
func (c *Coordinator) ObserveDefault(h event.Hook) {
	c.fallback.Set(h)
	event.SetDefault(h, c.Refresher)
}

// observe tells of what was done for all callers together, most of the time in a
// goroutine of no request.
func (c *Coordinator) observe(ctx context.Context, e event.Event) {
	c.fallback.For(c.Observe).Tell(ctx, e)
}

// observeCall tells what a call has come to. Nobody waits for it any more.
func (c *Coordinator) observeCall(ctx context.Context, k *call, took time.Duration) {
	e := event.Event{
		Kind: event.ProviderCalled, Level: slog.LevelInfo,
		Outcome: event.OutcomeFailed, Waiters: k.joined, Took: took, Err: k.err,
	}
	switch {
	case k.err == nil && k.asked:
		e.Outcome, e.Level = event.OutcomeExchanged, slog.LevelDebug
	case k.err == nil:
		e.Outcome, e.Level = event.OutcomeShared, slog.LevelDebug
	case errors.Is(k.err, ErrEnded):
		e.Outcome = event.OutcomeEnded
	case errors.Is(k.err, ErrDenied):
		e.Outcome = event.OutcomeDenied
	case errors.Is(k.err, ErrNoAnswer):
		e.Outcome, e.Level = event.OutcomeNoAnswer, slog.LevelWarn
	default:
		e.Level = slog.LevelWarn
	}
	c.observe(ctx, e)
}

// degraded tells that the Store has failed, and that this replica goes on by
// itself.
func (c *Coordinator) degraded(ctx context.Context, err error) {
	c.observe(ctx, event.Event{Kind: event.StoreDegraded, Level: slog.LevelWarn, Err: err})
}
