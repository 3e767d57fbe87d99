package main

import (
	"cmp"
	"context"
	"sync/atomic"
	"time"

	"github.com/tokenlife/tokenlife/refresh/event"
)

// observe hears all that happens. It becomes lines of the log, and is counted, if
// there are metrics.
func (g *gateway) observe(ctx context.Context, e event.Event) {
	if g.metrics != nil {
		g.metrics.Observe(ctx, e)
	}
	switch e.Kind {
	case event.RevocationsFailed:
		if !g.revocationsFailed.now() {
			return
		}
	case event.StoreDegraded:
		if !g.storeDegraded.now() {
			return
		}
	}
	e.Kind = cmp.Or(messages[e.Kind], e.Kind)
	event.Log(g.log)(ctx, e)
}

// messages are those of the log that are not the Kind of their event.
var messages = map[event.Kind]event.Kind{
	event.ProviderCalled: "called",
	event.HandleReused:   "session_reused",
	event.LoginDenied:    "session_denied",
	event.LoginDisplaced: "session_displaced",
}

// seldom keeps what happens at every request while a store is down to one line in
// ten seconds.
type seldom struct{ last atomic.Int64 } // Unix nanoseconds

func (s *seldom) now() bool {
	now, last := time.Now().UnixNano(), s.last.Load()
	return now-last >= int64(10*time.Second) && s.last.CompareAndSwap(last, now)
}
