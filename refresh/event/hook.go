package event

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
)

// A Hook hears events. It is called by several goroutines at once: those of the
// requests, and those of work apart from them. It must return soon, and must not
// Close what tells it. A panic of it is passed over. A nil Hook hears nothing and
// costs nothing.
type Hook func(ctx context.Context, e Event)

// Tell calls h, unless it is nil. A panic of h must not cost a login the tokens
// that it was told of, nor, in a goroutine of no request, end the whole program.
func (h Hook) Tell(ctx context.Context, e Event) {
	if h == nil {
		return
	}
	defer func() { _ = recover() }()
	h(ctx, e)
}

// Log returns a Hook that logs all events: the Kind is the message, and the
// attributes are those of [Event.LogValue].
func Log(logger *slog.Logger) Hook {
	return func(ctx context.Context, e Event) {
		// Asked first, since there is an event for every request.
		if logger.Enabled(ctx, e.Level) {
			logger.LogAttrs(ctx, e.Level, string(e.Kind), slog.Any("", e))
		}
	}
}

// LevelOf returns the level of an event that is Info where all went well: Warn
// with an error, but Debug where the client has gone, as clients do.
func LevelOf(err error) slog.Level {
	switch {
	case err == nil:
		return slog.LevelInfo
	case errors.Is(err, context.Canceled):
		return slog.LevelDebug
	}
	return slog.LevelWarn
}

// An Observable tells events, to a hook of its own where it has one. It is an
// optional interface of what is given to a middleware.Auth, a
// refresh.Coordinator, or sessions.Sessions. verify.JWT, verify.Introspection,
// verify.UserInfo, refresh.Coordinator, refresh.OAuth2, clientauth.Key,
// sessions.Sessions and local.Issuer are Observables.
//
// An Auth that is used or validated for the first time gives its hook to its
// Verifier and its Refresher. What wraps another Verifier or Refresher forwards
// the call, so that the hook comes to all that stands behind.
type Observable interface {
	// ObserveDefault gives a hook that hears the events where there is no other.
	// The first that is not nil counts: what two Auths share tells its events to
	// the hook of one of them, once. It can be called at any time, by several
	// goroutines at once.
	ObserveDefault(h Hook)
}

// A Fallback is the hook that an [Observable] got by ObserveDefault. Its zero
// value is ready. It is not copied after its first use.
type Fallback struct{ hook atomic.Pointer[Hook] }

// Set keeps h, unless it is nil or there is a hook already.
func (f *Fallback) Set(h Hook) {
	if h != nil {
		f.hook.CompareAndSwap(nil, &h)
	}
}

// For returns own or, where that is nil, the hook that was set; nil for none.
func (f *Fallback) For(own Hook) Hook {
	if own != nil {
		return own
	}
	if h := f.hook.Load(); h != nil {
		return *h
	}
	return nil
}

// SetDefault gives h to each of these that is an [Observable].
func SetDefault(h Hook, below ...any) {
	if h == nil {
		return
	}
	for _, b := range below {
		if o, ok := b.(Observable); ok {
			o.ObserveDefault(h)
		}
	}
}
