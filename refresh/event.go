package refresh

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// A Kind says what an [Event] is about.
type Kind string

// The kinds of events.
const (
	// Called: what all callers with one refresh token were waiting for has come.
	// Outcome, Waiters and Took are set, and Err where it is no success.
	Called Kind = "called"

	// StoreDegraded: the Store has failed, and this replica goes on by itself.
	// Err is set. It is told at each failure.
	StoreDegraded Kind = "store_degraded"
)

// An Outcome says what came of a call.
type Outcome string

// The outcomes of a call.
const (
	Exchanged Outcome = "exchanged" // the provider gave new tokens
	Shared    Outcome = "shared"    // it was not asked: another replica had the new tokens
	Denied    Outcome = "denied"    // the provider has ended the login
	Ended     Outcome = "ended"     // the user has signed out, or in anew, meanwhile
	NoAnswer  Outcome = "no_answer" // nobody knows what the provider did: [ErrNoAnswer]
	Failed    Outcome = "failed"    // it did nothing, and may be asked again
)

// An Event is something that a [Coordinator] did for all callers together. It
// holds no token.
type Event struct {
	Kind    Kind
	Outcome Outcome
	Waiters int           // requests of this process that waited for it; 0 where it asked again by itself
	Took    time.Duration // from the first of them to the answer
	Err     error
}

// Level returns how much an event matters to whoever runs a service: Warn for
// what is a provider's or a store's failure, Info for a login that is over, Debug
// for what goes well.
func (e Event) Level() slog.Level {
	switch {
	case e.Kind == StoreDegraded, e.Outcome == NoAnswer, e.Outcome == Failed:
		return slog.LevelWarn
	case e.Err != nil:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

// LogValue returns what is set of e but its Kind, which makes the message:
// outcome, waiters, took_ms, error.
func (e Event) LogValue() slog.Value {
	var attrs []slog.Attr
	if e.Kind == Called {
		attrs = append(attrs, slog.String("outcome", string(e.Outcome)), slog.Int("waiters", e.Waiters),
			slog.Int64("took_ms", e.Took.Milliseconds()))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.String("error", e.Err.Error()))
	}
	return slog.GroupValue(attrs...)
}

// observeCall tells what a call has come to. Nobody waits for it any more.
func (c *Coordinator) observeCall(ctx context.Context, k *call, took time.Duration) {
	e := Event{Kind: Called, Outcome: Failed, Waiters: k.joined, Took: took, Err: k.err}
	switch {
	case k.err == nil && k.asked:
		e.Outcome = Exchanged
	case k.err == nil:
		e.Outcome = Shared
	case errors.Is(k.err, ErrEnded):
		e.Outcome = Ended
	case errors.Is(k.err, ErrDenied):
		e.Outcome = Denied
	case errors.Is(k.err, ErrNoAnswer):
		e.Outcome = NoAnswer
	}
	c.tell(ctx, e)
}

func (c *Coordinator) degraded(ctx context.Context, err error) {
	c.tell(ctx, Event{Kind: StoreDegraded, Err: err})
}

// tell calls Observe, most of the time in a goroutine of ours, where a panic of
// it would end the whole program.
func (c *Coordinator) tell(ctx context.Context, e Event) {
	if c.Observe != nil {
		defer func() { _ = recover() }()
		c.Observe(ctx, e)
	}
}
