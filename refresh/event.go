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

// observeCall tells what an attempt of f has come to.
func (c *Coordinator) observeCall(ctx context.Context, f *flight, waiters int, took time.Duration) {
	e := event.Event{
		Kind: event.ProviderCalled, Level: slog.LevelInfo,
		Outcome: event.OutcomeFailed, Waiters: waiters, Took: took, Err: f.err,
	}
	switch {
	case f.err == nil && f.asked:
		e.Outcome, e.Level = event.OutcomeExchanged, slog.LevelDebug
	case f.err == nil:
		e.Outcome, e.Level = event.OutcomeShared, slog.LevelDebug
	case errors.Is(f.err, ErrEnded):
		e.Outcome = event.OutcomeEnded
	case errors.Is(f.err, ErrDenied):
		e.Outcome = event.OutcomeDenied
	case errors.Is(f.err, ErrNoAnswer):
		e.Outcome, e.Level = event.OutcomeNoAnswer, slog.LevelWarn
	default:
		e.Level = slog.LevelWarn
	}
	c.fallback.For(c.Observe).Tell(ctx, e)
}

// observeStore tells that the Store has failed.
func (c *Coordinator) observeStore(ctx context.Context, err error) {
	e := event.Event{Kind: event.StoreDegraded, Level: slog.LevelWarn, Err: err}
	c.fallback.For(c.Observe).Tell(ctx, e)
}
