package sessions

import (
	"context"
	"log/slog"

	"github.com/tokenlife/tokenlife/refresh/event"
)

// ObserveDefault implements [event.Observable]: h hears what the Sessions tell
// where Observe is nil. The Refresher gets it as well.
func (s *Sessions) ObserveDefault(h event.Hook) {
	s.fallback.Set(h)
	event.SetDefault(h, s.Refresher)
}

// observe tells of the end of a login: at Warn of a reuse, which may be a theft.
func (s *Sessions) observe(ctx context.Context, kind event.Kind, at *stored) {
	level := slog.LevelInfo
	if kind == event.HandleReused {
		level = slog.LevelWarn
	}
	l := at.public()
	s.fallback.For(s.Observe).Tell(ctx, event.Event{
		Kind: kind, Level: level, Issuer: at.Issuer, Subject: at.Subject, Login: l.ID, Device: l.Device,
	})
}
