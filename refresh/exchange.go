package refresh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"
)

// The life of a refresh token R, as its record in a ledger tells it:
//
//	the record of R                           who finds it           what happens
//	none, or presented                        a caller with R        claims R, and asks the provider
//	  and R is claimed by another             anybody                waits; when the claim has lapsed, claims R
//	exchanged, with the successor             anybody                follows, and is given the newest tokens
//	  the successor presented, within Grace   anybody                the same
//	  the successor presented, longer ago     a caller with R        the provider decides (RFC 9700: reuse)
//	refused                                   anybody, within 10 s   is refused
//	ended (a sign-out, or a new sign-in)      anybody                is refused, for as long as cookies live
//
//	a flight holds the claim, and …           the record becomes
//	the provider answers                      exchanged
//	  and the record is ended by now          it stays; the new tokens are revoked
//	  and the record is exchanged by now      it stays, and so do those tokens
//	the provider refuses R                    refused; a result of another replica is given instead
//	there is no clear answer                  it stays, and the claim is released
//
// A claim is beside the record, so that nothing is lost with a replica that
// dies. The ledger of all replicas decides. While its Store is down, that of
// this process does, in the same way, and results are written to the Store when
// it is back.

// exchange returns the newest tokens of the login of f, and asks the provider
// where those of f are the newest. It reports whether they were known here
// before.
func (c *Coordinator) exchange(ctx context.Context, f *flight) (next Tokens, known bool, err error) {
	waiting, cancel := context.WithTimeoutCause(ctx, 2*c.wait, errWaited)
	defer cancel()
	here, err := c.own.follow(ctx, f.old)
	switch {
	case err != nil:
		return Tokens{}, false, err
	case here.record.kind() == ended, here.record.kind() == refused && here.newest.Refresh == f.old.Refresh:
		// What was ended here stays so, whether or not the Store was told of
		// it.
		return Tokens{}, true, c.own.verdict(here.record)
	}
	if c.all != nil {
		next, err = c.exchangeIn(ctx, waiting, f, c.all)
		var failed *storeError
		if !errors.As(err, &failed) {
			return next, err == nil && !f.asked && next.Access == here.newest.Access, err
		}
		if waiting.Err() != nil {
			// This process has stood still, or has waited for another. Others
			// may have asked meanwhile, and nobody waits here any more.
			return Tokens{}, false, fmt.Errorf("refresh: waiting for the store: %w", context.Cause(waiting))
		}
		c.observeStore(ctx, failed.error)
	}
	if c.all == nil && here.newest.supersedes(f.old) && !here.graceOver { // as exchangeIn would find
		return here.newest, true, nil
	}
	next, err = c.exchangeIn(ctx, waiting, f, c.own)
	return next, err == nil && !f.asked, err
}

// A storeError says that a ledger failed before the provider was asked.
type storeError struct{ error }

func (e *storeError) Unwrap() error { return e.error }

// exchangeIn is exchange by the records of one ledger.
func (c *Coordinator) exchangeIn(ctx, waiting context.Context, f *flight, l *ledger) (Tokens, error) {
	owner := newOwner()
	held, takeover := false, false // whether R is claimed already, and whether another's claim has lapsed
	for {
		begin := time.Now()
		at, err := l.find(waiting, f.old)
		t, r := at.newest, at.record
		switch {
		case errors.Is(err, errTooLong):
			return Tokens{}, err
		case err != nil:
			return Tokens{}, &storeError{err}
		case r.kind() == ended:
			return Tokens{}, l.verdict(r)
		case at.graceOver:
			next, err := c.ask(ctx, f, f.old)
			if errors.Is(err, ErrDenied) {
				c.refuse(ctx, l, f.old, at.first)
			}
			return next, err
		case t.supersedes(f.old):
			c.followed(ctx, f, l, at)
			return t, nil
		case r.kind() == refused:
			return Tokens{}, l.verdict(r)
		}
		if next, ok := c.recoverTo(ctx, f, l, t, r); ok {
			return next, nil
		}
		mine := l.newClaim(owner, t, r, takeover)
		var owned, again bool
		err = l.retryBriefly(waiting, func() (err error) { owned, again, err = l.claim(waiting, mine); return err })
		switch {
		case err != nil:
			return Tokens{}, &storeError{err}
		case owned && (held || !again && time.Since(begin) < l.takeover/2):
			return c.askUnderClaim(ctx, f, l, t, r, mine)
		case owned:
			// If the record was read long ago, another's claim may have come
			// and lapsed since.
			held = true
			continue
		}
		if err := l.await(waiting, mine.key, t.Refresh, r); err != nil {
			return Tokens{}, fmt.Errorf("refresh: waiting for another caller: %w", err)
		}
		takeover = true
	}
}

// followed notes that the tokens of f have led to others.
func (c *Coordinator) followed(ctx context.Context, f *flight, l *ledger, at trail) {
	when := c.flights.presented(f, f.old)
	c.learnTrail(ctx, f.old, when, l, at)
	if r := at.first; r.kind() == exchanged && r.presentedAt().IsZero() && !when.IsZero() {
		// They were exchanged before any client had presented them.
		_, _ = l.Swap(ctx, recordKey(f.old.Refresh), r, r.markPresented(when), l.keep)
	}
}

// recoverTo returns what this process knows to have followed the tokens of f
// where the Store knows nothing: it has lost that, as one in memory does when
// it restarts, or never had it. To the provider the tokens would look stolen.
//
// A result lives for Grace at least. Half of that counts, as its time may be of
// another replica's clock: what has had its grace must not come back.
func (c *Coordinator) recoverTo(ctx context.Context, f *flight, l *ledger, t Tokens, r record) (Tokens, bool) {
	if l == c.own || r.tokens() != nil || t.Refresh != f.old.Refresh {
		return Tokens{}, false
	}
	here, err := c.own.follow(ctx, f.old)
	if err != nil || here.newest.Access == f.old.Access || here.graceOver || here.record.kind() == ended {
		return Tokens{}, false
	}
	if here.record.kind() == issued && here.newest.Refresh == f.old.Refresh {
		return here.newest, here.newest.supersedes(f.old) // f came without its access token
	}
	if time.Since(here.exchangedAt) >= l.grace/2 || !here.newest.supersedes(f.old) {
		return Tokens{}, false
	}
	c.publishLater(ctx, result{old: f.old, next: here.newest, presentedAt: c.flights.presented(f, f.old), askedAt: time.Now(), at: here.exchangedAt, found: r})
	return here.newest, true
}

// askUnderClaim asks the provider with t, the record of which is r.
func (c *Coordinator) askUnderClaim(ctx context.Context, f *flight, l *ledger, t Tokens, r record, mine claim) (Tokens, error) {
	if l == c.all {
		renewing, stop := context.WithCancel(ctx)
		defer stop()
		c.wg.Go(func() { l.renewClaim(renewing, mine) })
	}
	askedAt := time.Now()
	next, err := c.ask(ctx, f, t)
	switch {
	case err == nil:
		o := result{old: t, next: next, presentedAt: c.flights.presented(f, t), askedAt: askedAt, at: time.Now(), found: r}
		err := c.publish(ctx, l, &o)
		if l == c.own || l.keep < l.life { // else it is spent for as long as it lives
			l.release(ctx, mine)
		}
		return o.next, err
	case errors.Is(err, ErrDenied):
		next, err = c.resultOfOthers(ctx, f, t, mine, err)
		if err != nil && !errors.Is(err, ErrEnded) {
			c.refuse(ctx, l, t, r)
		}
	}
	l.release(ctx, mine) // the next caller may ask at once
	return next, err
}

// ask calls the Refresher, in the time that a call has, and completes its
// result.
func (c *Coordinator) ask(ctx context.Context, f *flight, old Tokens) (next Tokens, err error) {
	f.asked = true
	ctx, cancel := context.WithTimeout(ctx, 2*c.wait)
	defer cancel()
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return Tokens{}, errBusy
	}
	defer recovered(&err, "Refresher")
	next, err = c.Refresher.Refresh(ctx, old)
	if err != nil {
		return Tokens{}, err
	}
	if next.Access == "" {
		return Tokens{}, errors.New("refresh: the Refresher returned no access token")
	}
	if next.Refresh == "" {
		next.Refresh, next.RefreshExpiry = old.Refresh, old.RefreshExpiry
	}
	if next.ID == "" {
		next.ID = old.ID
	}
	return next, nil
}

// resultOfOthers returns what another replica has got for t, which was refused
// to this one. Its claim may have been lost, or there was no Store for one. Or
// the user has signed out meanwhile, and the refusal comes of that: it is no
// news to a browser that may have signed in anew.
func (c *Coordinator) resultOfOthers(ctx context.Context, f *flight, t Tokens, mine claim, refusal error) (Tokens, error) {
	l := c.all
	if l == nil {
		l = c.own
	}
	waiting, cancel := context.WithTimeoutCause(ctx, 2*c.wait, errWaited)
	defer cancel()
	for {
		at, err := l.find(waiting, t)
		switch {
		case err != nil:
			return Tokens{}, refusal
		case at.record.kind() == ended:
			return Tokens{}, at.record.reason()
		case at.newest.Access != t.Access:
			c.learnTrail(ctx, t, c.flights.presented(f, t), l, at)
			return at.newest, nil
		}
		other, err := l.get(waiting, mine.key)
		if err != nil || other == nil || bytes.Equal(other, mine.record) || l.await(waiting, mine.key, t.Refresh, at.record) != nil {
			return Tokens{}, refusal
		}
	}
}

// refuse records for a moment that the provider has refused t, so that a page's
// twenty requests are one question.
func (c *Coordinator) refuse(ctx context.Context, l *ledger, t Tokens, found record) {
	life := refusalLife
	if !found.presentedAt().IsZero() { // which is to be known for longer
		life = l.keep
	}
	_, _ = l.Swap(ctx, recordKey(t.Refresh), found, newRecord(refused, found.presentedAt()), life)
	if l == c.all {
		_ = update(ctx, c.own, recordKey(t.Refresh), nil, func(old []byte) ([]byte, time.Duration, error) {
			if record(old).kind() == ended {
				return old, 0, nil
			}
			return newRecord(refused, record(old).presentedAt()), refusalLife, nil
		})
	}
	c.held.end(t.Refresh, errRefused)
}

// verdict returns what a caller is refused with by a record. A while after a
// sign-out, a caller that comes with its tokens cannot have been under way:
// they are dead, and may be cleared.
func (l *ledger) verdict(r record) error {
	switch {
	case r.kind() == refused:
		return errRefused
	case time.Since(r.at()) >= l.grace+l.apart:
		return errLongOver
	}
	return r.reason()
}
