package verify

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/tokenlife/tokenlife/refresh/event"
)

// ObserveDefault implements [event.Observable]: h hears what the JWT tells
// where Observe is nil.
func (j *JWT) ObserveDefault(h event.Hook) { j.fallback.Set(h) }

// guarded returns load, whose panic is a fetch that failed: in a goroutine of
// ours that of an issuer's Keys, or of Lookup, would end the whole program.
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

// observed returns load, telling of each fetch that Close has not cut short.
func (j *JWT) observed(issuer string, load loadFunc) loadFunc {
	load = guarded(load)
	return func(ctx context.Context, old *snapshot) (*snapshot, error) {
		begin := time.Now()
		next, err := load(ctx, old)
		if errors.Is(ctx.Err(), context.Canceled) {
			return next, err
		}
		e := event.Event{Kind: event.KeysFetched, Level: slog.LevelDebug, Issuer: issuer, Took: time.Since(begin)}
		if err != nil {
			e.Level, e.Err = slog.LevelWarn, unknown(issuer, err)
		} else {
			e.Keys, e.LeftOut = len(next.keys), next.leftOut
			if next.flawed && (old == nil || !slices.Equal(old.leftOut, next.leftOut)) {
				e.Level = slog.LevelWarn // once, and not at each fetch
			}
		}
		j.fallback.For(j.Observe).Tell(ctx, e)
		return next, err
	}
}
