package refresh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync/atomic"
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
	inherited := false // another's claim has run out, and has left no answer
	for {
		f, err := c.sh.find(waiting, k.old)
		t, r := f.newest, f.record
		switch {
		case err != nil:
			return c.askAlone(ctx, k, err)
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
			c.insistOnResult(ctx, outcome{old: k.old, next: newest, sent: k.sent, came: time.Now(), ttl: ttl})
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
		if err != nil {
			return c.askAlone(ctx, k, err)
		}
		if owned {
			return c.askForAll(ctx, k, t, mine)
		}
	}
}

// askForAll asks the provider under a claim.
func (c *Coordinator) askForAll(ctx context.Context, k *call, t Tokens, mine claim) (Tokens, error) {
	renewing, stop := context.WithCancel(ctx)
	c.wg.Go(func() { c.sh.renewClaim(renewing, t, mine) })
	came := time.Now()
	next, err := c.ask(ctx, k, t)
	stop()
	switch key := storeKey("refresh", t.Refresh); {
	case err == nil:
		o := outcome{old: t, next: next, sent: k.presented(t), came: came, at: mine.record, ttl: c.sh.keep}
		err := c.tellResult(ctx, &o)
		return o.next, err
	case errors.Is(err, ErrDenied):
		if next, err = c.siblings(ctx, k, t, err); err == nil {
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
func (c *Coordinator) siblings(ctx context.Context, k *call, t Tokens, refusal error) (Tokens, error) {
	f, err := c.sh.find(ctx, t)
	switch {
	case err != nil:
		return Tokens{}, refusal
	case f.record.kind() == ended:
		return Tokens{}, f.record.over()
	case f.newest.Access == t.Access:
		return Tokens{}, refusal
	}
	k.since = f.since
	return f.newest, nil
}

// tellResult puts what the provider gave where all replicas find it. Where that
// cannot be done now, who waits here need not wait for it: it is tried on. The
// only error is that the user has signed out meanwhile.
func (c *Coordinator) tellResult(ctx context.Context, o *outcome) error {
	err := c.sh.settle(ctx, o)
	if err == nil || errors.Is(err, ErrEnded) {
		return c.unwanted(ctx, o, err)
	}
	c.degraded(ctx, err)
	c.insistOnResult(ctx, *o)
	return nil
}

// insistOnResult tries on: others that find no result ask the provider again.
func (c *Coordinator) insistOnResult(ctx context.Context, o outcome) {
	c.wg.Go(func() {
		insisting, cancel := context.WithTimeout(ctx, c.sh.tell)
		defer cancel()
		err := c.sh.insist(insisting, 1, func() error { return c.sh.settle(insisting, &o) })
		_ = c.unwanted(ctx, &o, err)
	})
}

// unwanted takes back what the provider gave to a user who had signed out.
func (c *Coordinator) unwanted(ctx context.Context, o *outcome, err error) error {
	if errors.Is(err, ErrEnded) && !errors.Is(err, errReplaced) {
		c.takeBack(ctx, o.next)
	}
	return err
}

// askAlone goes on without the Store, with what this process knows.
func (c *Coordinator) askAlone(ctx context.Context, k *call, err error) (Tokens, error) {
	c.degraded(ctx, err)
	newest := c.book.newest(k.login)
	if newest.leads(k.old) {
		return newest, nil
	}
	came := time.Now()
	next, err := c.ask(ctx, k, newest)
	switch {
	case err == nil: // the Store may be back in a moment
		c.insistOnResult(ctx, outcome{old: newest, next: next, sent: k.presented(newest), came: came, ttl: c.sh.keep})
	case errors.Is(err, ErrDenied):
		return c.siblings(ctx, k, newest, err)
	}
	return next, err
}

// endTogether ends the login of t for all replicas and returns its newest
// tokens, which are known here if the Store cannot be asked.
func (c *Coordinator) endTogether(ctx context.Context, t, known Tokens, why error) Tokens {
	ending, cancel := context.WithTimeout(ctx, c.sh.op)
	defer cancel()
	newest := known
	err := c.sh.insist(ending, 1, func() (err error) { newest, err = c.sh.end(ending, t, why); return err })
	if err != nil {
		c.degraded(ctx, err)
	}
	if err != nil || newest.Access == t.Access {
		return known
	}
	return newest
}

// tellArrival lets older tokens' time run out in the Store as well. It is only
// for that, and is left undone where much else is under way.
func (c *Coordinator) tellArrival(access string) {
	select {
	case c.sight.busy <- struct{}{}:
	default:
		c.sight.forget(access)
		return
	}
	started := c.book.whileOpen(func() {
		c.wg.Go(func() {
			defer func() { <-c.sight.busy }()
			if err := c.arrived(context.Background(), access); err != nil {
				c.sight.forget(access)
				c.degraded(context.Background(), err)
			}
		})
	})
	if !started {
		<-c.sight.busy
	}
}

// arrived passes the word on to the Store and to a Refresher that wants to know.
func (c *Coordinator) arrived(ctx context.Context, access string) (err error) {
	if c.sh != nil {
		news, err := c.sh.arrived(ctx, access)
		if err != nil || !news {
			return err
		}
	}
	if c.arriver == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.wait)
	defer cancel()
	defer caught(&err, "Refresher")
	return c.arriver.Arrived(ctx, access)
}

// sight remembers which access tokens this process has seen. It forgets when it
// likes, which costs one look at the Store.
type sight struct {
	seed  maphash.Seed
	slots []atomic.Uint64
	busy  chan struct{}
}

func (s *sight) open(shared bool) {
	s.seed = maphash.MakeSeed()
	s.busy = make(chan struct{}, 64)
	s.slots = make([]atomic.Uint64, 1)
	if shared {
		s.slots = make([]atomic.Uint64, 1<<15)
	}
}

func (s *sight) slot(access string) (*atomic.Uint64, uint64) {
	h := maphash.String(s.seed, access) | 1
	return &s.slots[(h>>1)%uint64(len(s.slots))], h
}

// first tells whether access is seen for the first time, as far as is remembered.
func (s *sight) first(access string) bool {
	slot, h := s.slot(access)
	return slot.Load() != h && slot.Swap(h) != h
}

func (s *sight) forget(access string) {
	slot, h := s.slot(access)
	slot.CompareAndSwap(h, 0)
}
