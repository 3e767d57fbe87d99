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
	if known := c.markIfExpected(t); !known && c.all != nil {
		c.tellLater(t, false)
	}
}

// markIfExpected is MarkArrived for tokens that this process has given out, and
// reports whether they are such.
func (c *Coordinator) markIfExpected(t Tokens) bool {
	led, known := c.arrivals.take(t.Access)
	for _, l := range led {
		// Once: a later sight must not lengthen that.
		_, _ = c.own.Swap(context.Background(), l.key, l.record, l.record, c.own.grace)
	}
	if known && (c.all != nil || c.arriver != nil) {
		c.tellLater(t, true)
	}
	return known
}

// tellLater calls tellArrival beside the request. Where much else is under way,
// it is left undone: it only makes records live longer.
func (c *Coordinator) tellLater(t Tokens, known bool) {
	again := func() {
		c.arrivals.forget(t.Access)
		if known {
			c.arrivals.expect(t.Access, nil)
		}
	}
	select {
	case c.arrivals.busy <- struct{}{}:
	default:
		again()
		return
	}
	started := c.flights.whileOpen(func() {
		c.wg.Go(func() {
			defer func() { <-c.arrivals.busy }()
			if err := c.tellArrival(context.Background(), t, known); err != nil {
				again()
				c.observeStore(context.Background(), err)
			}
		})
	})
	if !started {
		<-c.arrivals.busy
	}
}

// tellArrival records that t was presented, for all that follow a result to t,
// and tells a Refresher that wants to know.
func (c *Coordinator) tellArrival(ctx context.Context, t Tokens, news bool) (err error) {
	if c.all != nil && t.Refresh != "" {
		var none []byte // as a rule there is no record
		err := update(ctx, c.all, recordKey(t.Refresh), &none, func(old []byte) ([]byte, time.Duration, error) {
			r := record(old)
			if r.kind() == ended || !r.presentedAt().IsZero() {
				return old, 0, nil
			}
			news = true
			return r.markPresented(time.Now()), c.all.keep, nil
		})
		if err != nil {
			return err
		}
	}
	if !news || c.arriver == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.wait)
	defer cancel()
	defer recovered(&err, "Refresher")
	return c.arriver.Arrived(ctx, t.Access)
}

// markPresented returns r, or a new record, with the time at which its refresh
// token was presented.
func (r record) markPresented(at time.Time) record {
	if r.kind() == 0 {
		return newRecord(presented, at)
	}
	return newRecordAt(r.at(), r[0], at, r[recordHeader:]...)
}
