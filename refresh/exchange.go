package refresh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"
)

// A ledger has one record per refresh token. A caller's tokens lead to R, the
// newest refresh token of its login: to its own one, or along the successors.
// The record of R says what a flight does, which is one attempt to get new
// tokens for all callers with the same old ones:
//
//	record of R                     what the flight does
//	none, presented, exchanged (1)  claims R, and asks the provider
//	the same, claimed by another    waits until the record changes or the claim
//	                                lapses, and looks again
//	refused, for 10 s               returns errRefused
//	ended                           returns why, for as long as cookies live
//
// Where R is not the caller's own refresh token, that has been exchanged:
//
//	its successors                  what the flight does
//	not presented, or in Grace      returns the tokens with R
//	presented before that           asks the provider with the caller's tokens:
//	                                it may take that for theft (RFC 9700)
//
// A client presents a refresh token when it sends it. The provider's answer
// makes of the record of R:
//
//	answer                          record of R
//	new tokens, with error or not   exchanged
//	  but it has ended by now       as it is; the new tokens are revoked
//	  but it is exchanged by now    as it is, and its tokens are returned
//	a refusal                       refused
//	  but it has ended by now       as it is, and the reason is returned
//	  but it is exchanged by now    as it is, and its tokens are returned
//	none that is clear              as it is; the claim is released
//
// (1) Only by a provider that does not rotate refresh tokens.
//
// A claim has a key of its own. If its replica dies, the claim lapses, and the
// record stays as it is.
//
// What this process has recorded as ended or refused counts first. Then the
// ledger of all replicas decides. If that fails before the provider is asked,
// the ledger of this process decides, by the same table, and the result is
// written to the Store when it works again.

// exchange returns the newest tokens of the login of f. It asks the provider if
// the ledgers have no newer ones than f, or if their Grace is over. known
// reports whether this process had them, or their refusal, before.
func (c *Coordinator) exchange(ctx context.Context, f *flight) (next Tokens, known bool, err error) {
	waiting, cancel := context.WithTimeoutCause(ctx, 2*c.wait, errWaited)
	defer cancel()
	here, err := c.own.follow(ctx, f.old)
	switch {
	case err != nil:
		return Tokens{}, false, err
	case here.record.kind() == ended, here.record.kind() == refused && here.newest.Refresh == f.old.Refresh:
		// The Store may not have been told of the end. A refusal is of R alone.
		return Tokens{}, true, c.own.verdict(here.record)
	}
	if c.all != nil {
		next, err = c.exchangeIn(ctx, waiting, f, c.all)
		var failed *storeError
		if !errors.As(err, &failed) {
			return next, err == nil && !f.asked && next.Access == here.newest.Access, err
		}
		if waiting.Err() != nil {
			// The callers have timed out. Another replica may have asked the
			// provider by now.
			return Tokens{}, false, fmt.Errorf("refresh: waiting for the store: %w", context.Cause(waiting))
		}
		c.observeStore(ctx, failed.error)
	}
	if c.all == nil && here.newest.supersedes(f.old) && !here.graceOver(f.begin) { // as exchangeIn would find
		return here.newest, true, nil
	}
	next, err = c.exchangeIn(ctx, waiting, f, c.own)
	return next, err == nil && !f.asked, err
}

// A storeError says that a ledger failed before the provider was asked.
type storeError struct{ error }

func (e *storeError) Unwrap() error { return e.error }

// exchangeIn is exchange with one ledger. waiting limits the reads, the claim,
// and the wait for other callers.
func (c *Coordinator) exchangeIn(ctx, waiting context.Context, f *flight, l *ledger) (Tokens, error) {
	owner := newOwner()
	var held claim    // of R, since before the record was read
	var before record // another's claim of R, since before then
	takeover := false // this flight has waited for another claim
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
		case at.graceOver(f.begin):
			next, err := c.ask(ctx, f, f.old) // it has been exchanged: there is nothing to claim
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
		var got claiming
		var there record
		err = l.retryBriefly(waiting, func() (err error) { got, there, err = l.claim(waiting, mine, before); return err })
		switch {
		case err != nil:
			return Tokens{}, &storeError{err}
		case got == claimNew && time.Since(begin) < l.takeover/2, got == claimKept && held.equal(mine):
			return c.askUnderClaim(ctx, f, l, t, r, mine)
		case got == claimDiffers:
			before = there
			continue
		case got != claimOfAnother:
			// Another claim may have come and gone since the record was read.
			// It is read again under this one.
			held, before = mine, mine.record
			continue
		}
		if err := l.await(waiting, mine.key, t.Refresh, r); err != nil {
			return Tokens{}, fmt.Errorf("refresh: waiting for another caller: %w", err)
		}
		takeover = true
	}
}

// followed records what f.old has led to, and that it was presented.
func (c *Coordinator) followed(ctx context.Context, f *flight, l *ledger, at trail) {
	when := c.flights.presented(f, f.old)
	c.learnTrail(ctx, f.old, when, l, at)
	if r := at.first; r.kind() == exchanged && r.presentedAt().IsZero() && !when.IsZero() {
		// f.old was exchanged before a client had presented it.
		_, _ = l.Swap(ctx, recordKey(f.old.Refresh), r, r.mark(presentedByte, when), l.keep)
	}
}

// recoverTo returns the successor of f.old that this process knows, if the
// Store has none. A Store in memory loses its records when it restarts, and a
// result may not have reached the Store. The provider would take f.old for
// stolen.
//
// Half of Grace counts: the time of the result may be by another clock, and
// what has had its Grace must not come back.
func (c *Coordinator) recoverTo(ctx context.Context, f *flight, l *ledger, t Tokens, r record) (Tokens, bool) {
	if l == c.own || r.tokens() != nil || t.Refresh != f.old.Refresh {
		return Tokens{}, false
	}
	here, err := c.own.follow(ctx, f.old)
	if err != nil || here.newest.Access == f.old.Access || here.graceOver(f.begin) || here.record.kind() == ended {
		return Tokens{}, false
	}
	if here.record.kind() == issued && here.newest.Refresh == f.old.Refresh {
		return here.newest, here.newest.supersedes(f.old) // the client has lost the access token
	}
	if time.Since(here.exchangedAt) >= l.grace/2 || !here.newest.supersedes(f.old) {
		return Tokens{}, false
	}
	c.publishLater(ctx, result{old: f.old, next: here.newest, presentedAt: c.flights.presented(f, f.old), askedAt: time.Now(), at: here.exchangedAt, found: r})
	return here.newest, true
}

// askUnderClaim asks the provider with t, and records the answer. r is the
// record of t, and mine the claim of t. It is renewed until the answer is
// recorded.
func (c *Coordinator) askUnderClaim(ctx context.Context, f *flight, l *ledger, t Tokens, r record, mine claim) (Tokens, error) {
	if l == c.all {
		renewing, stop := context.WithCancel(ctx)
		defer stop()
		c.wg.Go(func() { l.renewClaim(renewing, mine) })
	}
	askedAt := time.Now()
	next, err := c.ask(ctx, f, t)
	switch {
	case next.Refresh != "":
		o := result{old: t, next: next, presentedAt: c.flights.presented(f, t), askedAt: askedAt, at: time.Now(), found: r}
		err := errors.Join(err, c.publish(ctx, l, &o))
		if l == c.own || l.keep < l.life { // else the result outlives the claim
			l.release(ctx, mine)
		}
		return o.next, err
	case errors.Is(err, ErrDenied):
		next, err = c.resultOfOthers(ctx, f, t, mine, err)
		if err != nil && !errors.Is(err, ErrEnded) {
			c.refuse(ctx, l, t, r)
		}
	}
	l.release(ctx, mine) // others need not wait until it lapses
	return next, err
}

// ask calls the Refresher, within a time limit that includes the wait for a
// slot. A result without a refresh token or ID token gets that of old.
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
	if err != nil && !bringsOn(next, old, err) {
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
	return next, err
}

// resultOfOthers looks for the reason of a refusal of t. If another replica has
// exchanged t, because a claim was lost or the Store was down, it returns those
// tokens. If the user has signed out meanwhile, it returns that, so that the
// cookies of a newer login are kept. If another claims t, it waits. Otherwise
// it returns the refusal.
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

// refuse records that the provider has refused t, so that the other requests of
// a page do not ask it again. It counts for refusalLife.
func (c *Coordinator) refuse(ctx context.Context, l *ledger, t Tokens, found record) {
	refusal, life := l.refusal(found)
	_, _ = l.Swap(ctx, recordKey(t.Refresh), found, refusal, life)
	if l == c.all {
		_ = update(ctx, c.own, recordKey(t.Refresh), nil, func(old []byte) (new []byte, life time.Duration, err error) {
			if new = old; record(old).kind() != ended {
				new, life = c.own.refusal(old)
			}
			return new, life, nil
		})
	}
	c.held.end(t.Refresh, errRefused)
}

// refusal returns r as refused now, and its life. What else it tells is needed
// after the refusal.
func (l *ledger) refusal(r record) (record, time.Duration) {
	life := refusalLife
	if len(r) > recordHeader || !r.presentedAt().IsZero() {
		life = l.keep
	}
	return r.mark(refusedByte, time.Now()), life
}

// verdict returns the error for a caller whose record r is refused or ended. A
// while after the end, the request was sent after it, and its cookies may be
// cleared.
func (l *ledger) verdict(r record) error {
	switch {
	case r.kind() == refused:
		return errRefused
	case time.Since(r.at()) >= l.grace+l.apart:
		return errLongOver
	}
	return r.reason()
}
