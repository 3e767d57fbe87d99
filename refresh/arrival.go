package refresh

import (
	"context"
	"time"
)

// FirstSight reports whether it is news to this process that a client has
// access, an access token or its handle: then [Coordinator.MarkArrived] is to
// be told, once the token has been verified. It costs a few nanoseconds where
// nothing waits for that. With a Store it remembers that it was asked, as far
// as there is room.
func (c *Coordinator) FirstSight(access string) bool {
	c.init()
	if c.all == nil && c.arrivals.waiting.Load() == 0 {
		return false
	}
	return c.arrivals.first(access)
}

// MarkArrived says that a client has presented t, in cookies: so they have
// arrived, and Grace begins for the older tokens of the login. It costs the
// Store one write. The refresh token may be missing where its cookie does not
// travel: then other replicas learn of the arrival at the next refresh. The
// tokens must have been verified, as strangers could fill the Store otherwise.
func (c *Coordinator) MarkArrived(t Tokens) {
	c.init()
	known := c.markIfExpected(t)
	if c.all == nil {
		return
	}
	if t.Refresh != "" {
		_, _ = c.own.markPresented(context.Background(), t, 2*c.own.grace) // by now the Store tells
	}
	if !known {
		c.tellLater(t, false)
	}
}

// markIfExpected is MarkArrived for tokens that this process has given out, and
// reports whether they are such.
func (c *Coordinator) markIfExpected(t Tokens) bool {
	led, known := c.arrivals.take(t.Access)
	for _, l := range led {
		if l.record != nil { // once: a later sight must not lengthen that
			_, _ = c.own.Swap(context.Background(), l.key, l.record, l.record, c.own.grace)
		}
	}
	if known && (c.all != nil || c.arriver != nil) {
		c.tellLater(t, true)
	}
	return known
}

// tellArrival records that t was presented, for all that follow a result to t,
// and tells a Refresher that wants to know.
func (c *Coordinator) tellArrival(ctx context.Context, t Tokens, news bool) (err error) {
	if c.all != nil && t.Refresh != "" {
		first, err := c.all.markPresented(ctx, t, c.all.keep)
		if err != nil {
			return err
		}
		news = news || first
	}
	if !news || c.arriver == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.wait)
	defer cancel()
	defer recovered(&err, "Refresher")
	return c.arriver.Arrived(ctx, t.Access)
}

// markPresented records that t was presented, and reports whether that is news.
// As a rule there is no record of it, which then lives for ttl.
func (l *ledger) markPresented(ctx context.Context, t Tokens, ttl time.Duration) (news bool, err error) {
	var none []byte
	err = update(ctx, l, recordKey(t.Refresh), &none, func(old []byte) ([]byte, time.Duration, error) {
		r := record(old)
		if news = r.kind() != ended && r.presentedAt().IsZero(); !news {
			return old, 0, nil
		}
		if r != nil {
			ttl = l.keep
		}
		return r.mark(presentedByte, time.Now()), ttl, nil
	})
	return news, err
}
