package refresh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"
)

// errRefused is the refusal of a provider that another replica has asked.
var errRefused = fmt.Errorf("%w: the provider has refused it to another replica", ErrDenied)

// askTogether returns the newest tokens that any replica knows of the login, and
// asks the provider on behalf of all where those presented are the newest.
func (c *Coordinator) askTogether(ctx context.Context, k *call) (Tokens, error) {
	waiting, cancel := context.WithTimeoutCause(ctx, 2*c.wait, errWaited)
	defer cancel()
	var mine claim
	inherited := ctx.Value(inheritedKey{}) != nil // another's claim has run out, and has left no answer
	for {
		f, err := c.sh.find(waiting, k.old)
		t, r := f.newest, f.record
		switch {
		case err != nil:
			return c.askAlone(ctx, waiting, k, err)
		case r.kind() == ended:
			return Tokens{}, c.book.verdict(r.over(), r.since().Add(c.sh.apart), time.Now())
		case f.stale:
			// Too old to be a request that was under way: the provider decides,
			// and takes it for reuse if it keeps to RFC 9700.
			return c.ask(ctx, k, k.old)
		case t.leads(k.old):
			k.since = f.since
			return t, nil
		case r.kind() == refused:
			return Tokens{}, errRefused
		case r.kind() == claimed && bytes.Equal(r, mine.record):
			return c.askForAll(ctx, k, t, mine) // its write only seemed to fail
		case r.kind() == claimed:
			if err := c.sh.await(waiting, t, r); err != nil {
				return Tokens{}, fmt.Errorf("refresh: waiting for another replica: %w", err)
			}
			inherited = true
			continue
		}
		if newest, ttl, ok := c.book.follows(k); ok && r == nil {
			// A result stands for grace at the least: the Store has lost this one,
			// as one in memory does at its restart. To the provider the tokens
			// that it replaced would look stolen.
			c.insistOnResult(ctx, k, outcome{old: k.old, next: newest, sent: k.sent, came: time.Now(), ttl: ttl})
			return newest, nil
		}
		mine = c.sh.newClaim(r, inherited)
		if !k.presented(t) {
			mine.markUnsent()
		}
		var owned bool
		err = c.sh.patiently(waiting, func() (err error) {
			owned, err = c.sh.swap(waiting, storeKey("refresh", t.Refresh), mine.was, mine.record, mine.life)
			return err
		})
		switch {
		case err != nil:
			return c.askAlone(ctx, waiting, k, err)
		case owned:
			return c.askForAll(ctx, k, t, mine)
		}
	}
}

// askForAll asks the provider under a claim.
func (c *Coordinator) askForAll(ctx context.Context, k *call, t Tokens, mine claim) (Tokens, error) {
	renewing, stop := context.WithCancel(ctx)
	c.wg.Go(func() { c.sh.renewClaim(renewing, t, mine) })
	asking := ctx
	if mine.inherited {
		asking = context.WithValue(ctx, inheritedKey{}, true)
	}
	came := time.Now()
	next, err := c.ask(asking, k, t)
	stop()
	switch key := storeKey("refresh", t.Refresh); {
	case err == nil:
		o := outcome{old: t, next: next, sent: k.presented(t), came: came, at: mine.record, ttl: c.sh.keep}
		err := c.tellResult(ctx, k, &o)
		return o.next, err
	case errors.Is(err, ErrDenied):
		if next, err = c.siblings(ctx, k, t, mine.record, err); err == nil {
			return next, nil
		}
		_, _ = c.sh.swap(ctx, key, mine.record, newRecord(refused, nil), refusalLife)
	default:
		// The next one may try at once. If this fails, the claim runs out.
		_, _ = c.sh.swap(ctx, key, mine.record, mine.was, c.sh.keep)
	}
	return Tokens{}, err
}

// siblings returns what another replica has got for t, which is refused to us: where
// our claim was lost, or there is no store to make one in, that may be why. Or the
// user has signed out there: the refusal comes of that, and is no news to a browser
// that may have signed in anew.
func (c *Coordinator) siblings(ctx context.Context, k *call, t Tokens, ours record, refusal error) (Tokens, error) {
	waiting, cancel := context.WithTimeoutCause(ctx, 2*c.wait, errWaited)
	defer cancel()
	for {
		f, err := c.sh.find(waiting, t)
		switch {
		case err != nil:
			return Tokens{}, refusal
		case f.record.kind() == ended:
			return Tokens{}, f.record.over()
		case f.newest.Access != t.Access:
			k.since = f.since
			return f.newest, nil
		case f.record.kind() != claimed || bytes.Equal(f.record, ours) || c.sh.await(waiting, t, f.record) != nil:
			return Tokens{}, refusal
		}
	}
}

// tellResult puts what the provider gave where all replicas find it. Where that
// cannot be done now, who waits here need not wait for it: it is tried on. The
// only error is that the user has signed out meanwhile.
func (c *Coordinator) tellResult(ctx context.Context, k *call, o *outcome) error {
	err := c.sh.settle(ctx, o)
	if err == nil || errors.Is(err, ErrEnded) {
		return c.unwanted(ctx, o, err)
	}
	c.degraded(ctx, err)
	c.insistOnResult(ctx, k, *o)
	return nil
}

// insistOnResult tries on: others that find no result ask the provider again.
func (c *Coordinator) insistOnResult(ctx context.Context, k *call, o outcome) {
	l := k.login // the call goes on
	c.book.untold(l, o.next.Access)
	c.wg.Go(func() {
		insisting, cancel := context.WithTimeout(ctx, c.sh.tell)
		defer cancel()
		err := c.sh.insist(insisting, 1, func() error { return c.sh.settle(insisting, &o) })
		if err == nil {
			c.book.told(l, o.next.Access)
		}
		_ = c.unwanted(ctx, &o, err)
	})
}

// askAlone goes on without the Store, with what this process knows. If the time for
// waiting has passed, this process has stood still, or has waited for another: others
// may have asked meanwhile, and who waited here has gone, so that nobody asks.
func (c *Coordinator) askAlone(ctx, waiting context.Context, k *call, err error) (Tokens, error) {
	if waiting.Err() != nil {
		return Tokens{}, fmt.Errorf("refresh: waiting for the store: %w", context.Cause(waiting))
	}
	c.degraded(ctx, err)
	newest := c.book.newest(k.login)
	if newest.leads(k.old) {
		return newest, nil
	}
	came := time.Now()
	next, err := c.ask(ctx, k, newest)
	switch {
	case err == nil: // the Store may be back in a moment
		c.insistOnResult(ctx, k, outcome{old: newest, next: next, sent: k.presented(newest), came: came, ttl: c.sh.keep})
	case errors.Is(err, ErrDenied):
		return c.siblings(ctx, k, newest, nil, err)
	}
	return next, err
}
