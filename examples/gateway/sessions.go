package main

import (
	"context"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/login"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/sessions"
)

// readSessions reads where the tokens of a login are kept, and for how long.
func (c *config) readSessions(e *environment) {
	switch e.text("SESSIONS", "cookie") {
	case "cookie":
		for _, name := range []string{"IDLE", "ABSOLUTE"} {
			if e.getenv(name) != "" {
				e.wrong(name, "is for SESSIONS=server only: in cookies the provider decides how long a login lasts")
			}
		}
	case "server":
		c.onServer = true
		c.idle = max(0, e.duration("IDLE", 0))
		c.absolute = e.positive("ABSOLUTE", sessions.DefaultAbsolute)
		if c.idle > c.absolute {
			e.wrong("IDLE", "is longer than ABSOLUTE")
		}
	default:
		e.wrong("SESSIONS", "must be cookie or server")
	}
}

// keepLogins decides what ends a login before its time: with SESSIONS=server the
// login itself is in the store, and goes; tokens in cookies are revoked there.
func (g *gateway) keepLogins(client refresh.Refresher) refresh.Refresher {
	c := g.config
	if !c.onServer {
		g.revocations = &middleware.Revocations{Store: g.store.Store, RetainFor: revokedFor}
		return client
	}
	store := g.store.Store
	if store == nil {
		store = new(refresh.MemoryStore)
	}
	g.sessions = &sessions.Sessions{
		Refresher: client,
		Store:     store,
		Grace:     c.grace,
		Keep:      c.keep,
		Idle:      c.idle,
		Absolute:  c.absolute,
		Timeout:   c.refreshTimeout,
	}
	return g.sessions
}

// revokedFor is longer than logins in cookies should last.
const revokedFor = 90 * 24 * time.Hour

// loggedOut ends what the provider says has ended at its side.
func (g *gateway) loggedOut(ctx context.Context, l login.Logout) error {
	if l.SessionUnknown && l.Subject != "" {
		l.Session = "" // all of the subject's
	}
	return g.sessions.LogOut(ctx, l.Issuer, l.Subject, l.Session, l.Time)
}
