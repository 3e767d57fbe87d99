package sessions

import (
	"context"
	"log/slog"
)

// An Event is something that whoever runs a service may want to know of a login.
// It holds no secret.
type Event struct {
	Kind    Kind
	Issuer  string
	Subject string
	Login   Login
}

// A Kind says what an [Event] is about.
type Kind string

// What can happen to a login beside what its user does.
const (
	// Reused: a handle was presented that had been replaced before. Somebody
	// else may have it, and so the login is over for everybody.
	Reused Kind = "reused"

	// Denied: the provider has ended the login.
	Denied Kind = "denied"

	// Displaced: the subject has more logins than are kept, and this one was
	// the oldest.
	Displaced Kind = "displaced"
)

// Level returns Warn for a reuse, which may be a theft, and Info for the others.
func (e Event) Level() slog.Level {
	if e.Kind == Reused {
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// LogValue returns what is set of e but its Kind, which makes the message:
// issuer, subject, login.
func (e Event) LogValue() slog.Value {
	return slog.GroupValue(slog.String("issuer", e.Issuer), slog.String("subject", e.Subject), slog.String("login", e.Login.ID))
}

func (s *Sessions) observe(ctx context.Context, kind Kind, at *stored) {
	if s.Observe != nil {
		defer func() { _ = recover() }()
		s.Observe(ctx, Event{Kind: kind, Issuer: at.Issuer, Subject: at.Subject, Login: at.public()})
	}
}
