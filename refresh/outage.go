package refresh

import (
	"context"
	"errors"
	"sync"
	"time"
)

// An outage is a time in which every call of a Store fails.
type outage struct {
	mu          sync.Mutex
	since, last time.Time // of its first and its last failure; zero: the Store works
}

// maxPatience is the longest time for which a Store that fails is tried again.
// A replica that has begun a call may have died, and left its claim in the
// Store: its tokens must be asked for again within the provider's grace, and
// the wait for that claim comes first (maxClaim).
const maxPatience = maxClaim / 2

// silence is how long after its last failure an outage is taken to be over, if
// nobody has called the Store.
const silence = time.Minute

// note is deferred, and notes the result of a call that began at begin. If ctx
// has ended, and with it the call, that says nothing of the Store.
func (o *outage) note(ctx context.Context, begin time.Time, err *error) {
	failed := *err != nil && !errors.Is(*err, ErrNotFound)
	if failed && ctx.Err() != nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case !failed:
		o.since = time.Time{}
	case o.since.IsZero() || begin.Sub(o.last) > silence:
		o.since, o.last = begin, time.Now()
	default:
		o.last = time.Now()
	}
}

// lasted returns for how long the Store has been failing, or 0.
func (o *outage) lasted() time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.since.IsZero() || time.Since(o.last) > silence {
		return 0
	}
	return time.Since(o.since)
}

// retryBriefly calls f, and again while the Store has just begun to fail. A
// Store that restarts is back in a moment, and replicas that go on without each
// other may present one refresh token twice. It tries three times at least, as
// this process may have stood still. After a long failure f is called once.
func (l *ledger) retryBriefly(ctx context.Context, f func() error) error {
	left := l.patience - l.outage.lasted()
	if left <= 0 {
		return f()
	}
	ctx, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	return retry(ctx, 3, f)
}

// retry calls f, with pauses, until it succeeds, or ctx has ended and f was
// called least times. It stops where no later call could succeed: for a login
// that has ended, and for records that cannot be read or followed.
func retry(ctx context.Context, least int, f func() error) error {
	pause := 5 * time.Millisecond
	for n := 1; ; n++ {
		err := f()
		if err == nil || errors.Is(err, ErrEnded) || errors.Is(err, errUnreadable) || errors.Is(err, errTooLong) {
			return err
		}
		select {
		case <-ctx.Done():
			if n >= least {
				return err
			}
		case <-time.After(pause):
		}
		pause = min(2*pause, 250*time.Millisecond)
	}
}

// publish writes a result into a ledger, and what it leads to into that of this
// process. Where the Store fails, the callers need not wait for it: it is
// written later. The only error is that the login has ended meanwhile.
func (c *Coordinator) publish(ctx context.Context, l *ledger, o *result) error {
	err := l.publish(ctx, o)
	switch {
	case errors.Is(err, ErrEnded):
		return c.revokeUnwanted(ctx, o.next, err)
	case err != nil:
		c.observeStore(ctx, err)
		c.publishLater(ctx, *o)
	case l == c.own && c.all != nil: // the Store may be back in a moment
		later := *o
		later.found = nil
		c.publishLater(ctx, later)
	}
	if err := c.learn(ctx, *o, l); err != nil {
		return c.revokeUnwanted(ctx, o.next, err)
	}
	return nil
}

// publishLater tries to write a result into the ledger of all replicas, which
// ask the provider again where they find none.
func (c *Coordinator) publishLater(ctx context.Context, o result) {
	c.onlyHere.Add(o.next.Access, o)
	c.wg.Go(func() { // a flight is under way
		retrying, cancel := context.WithTimeout(ctx, c.all.late)
		defer cancel()
		err := retry(retrying, 1, func() error { return c.publishOnce(retrying, &o) })
		if errors.Is(err, ErrEnded) {
			_ = c.revokeUnwanted(ctx, o.next, err)
		}
	})
}

// publishOnce is one attempt of publishLater.
func (c *Coordinator) publishOnce(ctx context.Context, o *result) error {
	access := o.next.Access
	err := c.all.publish(ctx, o)
	if err == nil {
		c.onlyHere.Remove(access)
	}
	return err
}

// learn records in this process that o.old was exchanged for o.next, by a
// result of ledger l or by what a trail of it has told.
func (c *Coordinator) learn(ctx context.Context, o result, l *ledger) error {
	if l != c.own {
		o.found, _ = c.own.get(ctx, recordKey(o.old.Refresh))
		o.askedAt = time.Time{}
		if err := c.own.publish(ctx, &o); err != nil {
			return err
		}
	}
	if o.next.Refresh != o.old.Refresh {
		// For a browser that has lost the access token, and comes with the
		// rest.
		r, err := c.own.newResult(issued, o.next.Refresh, o.next, time.Now())
		if err == nil {
			_, _ = c.own.Swap(ctx, recordKey(o.next.Refresh), nil, r, c.own.keep)
		}
	}
	c.arrivals.expect(o.next.Access, lead{recordKey(o.old.Refresh), o.written}, o.old.Access)
	newest, err := c.own.follow(ctx, o.next)
	switch {
	case err != nil:
	case newest.record.kind() == ended:
		c.held.end(o.old.Refresh, newest.record.reason())
	default:
		c.held.advance(o.old.Refresh, newest.newest)
	}
	return nil
}

// learnTrail is learn for what a trail of old in ledger l has told.
func (c *Coordinator) learnTrail(ctx context.Context, old Tokens, presentedAt time.Time, l *ledger, at trail) {
	if l == c.own {
		return
	}
	if here, err := c.own.follow(ctx, old); err == nil && here.newest.Access == at.newest.Access {
		return
	}
	_ = c.learn(ctx, result{old: old, next: at.newest, presentedAt: presentedAt, at: at.exchangedAt, written: at.first}, l)
}
