package verify

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// A Kind says what an [Event] is about.
type Kind string

// KeysFetched says that an issuer's key set was fetched, or found unchanged, or
// could not be fetched, which Err tells then.
const KeysFetched Kind = "keys_fetched"

// An Event is something that a [JWT] did for all requests together.
type Event struct {
	Kind   Kind
	Issuer string
	Keys   int           // how many of the set's keys can be used
	Took   time.Duration // discovery included
	Err    error         // the keys known before, if any, go on
}

// Level returns Warn for a fetch that failed, Debug for another.
func (e Event) Level() slog.Level {
	if e.Err != nil {
		return slog.LevelWarn
	}
	return slog.LevelDebug
}

// LogValue returns what is set of e but its Kind, which makes the message:
// issuer, keys, took_ms, error.
func (e Event) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("issuer", e.Issuer), slog.Int("keys", e.Keys), slog.Int64("took_ms", e.Took.Milliseconds())}
	if e.Err != nil {
		attrs = append(attrs, slog.String("error", e.Err.Error()))
	}
	return slog.GroupValue(attrs...)
}

// guarded returns load, whose panic is a fetch that failed: in a goroutine of ours
// that of an issuer's Keys, or of Lookup, would end the whole program.
func guarded(load loadFunc) loadFunc {
	return func(ctx context.Context, old *snapshot) (next *snapshot, err error) {
		defer func() {
			if recover() != nil { // its value may hold anything
				next, err = nil, errPanic
			}
		}()
		return load(ctx, old)
	}
}

// observed returns load, telling Observe of each fetch that Close has not cut short.
func (j *JWT) observed(issuer string, load loadFunc) loadFunc {
	load = guarded(load)
	if j.Observe == nil {
		return load
	}
	return func(ctx context.Context, old *snapshot) (*snapshot, error) {
		begin := time.Now()
		next, err := load(ctx, old)
		if errors.Is(ctx.Err(), context.Canceled) {
			return next, err
		}
		e := Event{Kind: KeysFetched, Issuer: issuer, Took: time.Since(begin)}
		if err != nil {
			e.Err = unknown(issuer, err)
		} else {
			e.Keys = len(next.keys)
		}
		j.tell(ctx, e)
		return next, err
	}
}

// tell calls Observe. A panic of it is not the fetch's.
func (j *JWT) tell(ctx context.Context, e Event) {
	defer func() { _ = recover() }()
	j.Observe(ctx, e)
}
