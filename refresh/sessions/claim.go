package sessions

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/internal/pace"
)

// A claim stands in the Store beside the record of a login while one caller
// asks the provider with the tokens under the current handle. Other callers
// wait for the result, which goes into the record.
//
//	the record of the login   the claim of h     a caller with the handle h
//	h is current              none               claims it, and asks the provider
//	h is current              another caller's   waits until that is no longer so
//	h has been replaced       any                gets the tokens of the new handle
//
// A claim is a value of its own, because the Store lets it lapse. The clocks of
// replicas play no part, and the first caller after the death of an owner waits
// no longer than one that has seen the claim being made.
//
// A claim is of one handle. When the handle has been replaced, nobody asks for
// the claim any more, and it is left to lapse.
type claim struct {
	key   string
	owner []byte // a random name
	life  time.Duration
	made  time.Time // when it was written last, or shortly before
}

// maxClaim is the longest life of a claim that is not renewed. Its owner may
// have died when the provider had exchanged the token. Others must be able to
// ask again within the provider's grace, for which ten seconds are the least
// that is recommended. If the second owner dies as well, a third is in time for
// that.
const maxClaim = 4 * time.Second

func claimKey(at *stored) string {
	return refresh.StoreKey("claim.login", at.name, string(at.Hash))
}

// fresh reports whether a time is so short ago that a claim which was written
// then still stands for two thirds of its life.
func (c *claim) fresh(since time.Time) bool { return time.Since(since) < c.life/3 }

// hold sees to it that a flight has the claim of a login's current handle,
// which stands for a while yet, and reports whether it has. An error says that
// the claim may be there: it will lapse.
func (s *Sessions) hold(ctx context.Context, f *flight, at *stored) (bool, error) {
	c := f.claim
	if c == nil || c.key != claimKey(at) {
		c = &claim{key: claimKey(at), owner: []byte(rand.Text()), life: min(3*s.timeout, maxClaim)}
	}
	f.claim = nil
	for !c.fresh(c.made) { // once more where this process has stood still
		var before []byte
		if !c.made.IsZero() {
			before = c.owner
		}
		begin := time.Now()
		if done, err := s.put(ctx, c.key, before, c.owner, c.life); !done || err != nil {
			return false, err
		}
		c.made = begin
	}
	f.claim = c
	return true, nil
}

// confirm is the last look before the provider is asked, by a flight that has
// the claim. It returns the login, or nil where its handle is no longer current
// or the claim is another's.
//
// Another caller may have replaced the handle since the record was read. Its
// claim stands for a while after that, so that nobody can have claimed the
// handle shortly after such a reading. A record that was read longer ago is
// read again. So is one after an outage of the Store: the claim of a caller
// that has yet to write its result may have lapsed in it.
func (s *Sessions) confirm(ctx context.Context, f *flight, at *stored) (*stored, error) {
	pause := s.store.health.recovering()
	if pause > 0 {
		<-time.After(pause)
	}
	if pause > 0 || !f.claim.fresh(at.read) {
		now, err := s.find(ctx, at.name)
		if now == nil || err != nil || now.Over != 0 || !same(now.Hash, at.Hash) {
			return nil, err
		}
		at = now
	}
	if held, err := s.hold(ctx, f, at); !held || err != nil {
		return nil, err
	}
	return at, nil
}

// askUnderClaim asks the provider with the tokens of a claimed login, and keeps
// the claim alive meanwhile. A Store that is slow does not hold the answer up.
func (s *Sessions) askUnderClaim(ctx context.Context, c *claim, kept refresh.Tokens) (refresh.Tokens, error) {
	renewing, cancel := context.WithCancel(ctx)
	stopped := make(chan struct{})
	s.flights.wg.Go(func() {
		defer close(stopped)
		s.keepClaim(renewing, c)
	})
	next, err := s.ask(ctx, kept, 2*s.timeout)
	cancel()
	if err != nil {
		<-stopped // or else the claim might be renewed after its release
	}
	return next, err
}

// keepClaim renews a claim until ctx ends.
func (s *Sessions) keepClaim(ctx context.Context, c *claim) {
	defer func() { _ = recover() }() // as in fly
	life := c.life
	for n := 1; ; n++ {
		select {
		case <-time.After(c.life / 3):
		case <-ctx.Done():
			return
		}
		if n >= 3 {
			// Too late to ask again: the answer is the best hope.
			life = max(life, 3*s.timeout)
		}
		kept, err := s.put(ctx, c.key, c.owner, c.owner, life)
		if !kept && err == nil {
			// It has lapsed, while the Store was away. Nobody else may have
			// seen that.
			_, _ = s.put(ctx, c.key, nil, c.owner, life)
		}
	}
}

// undisputed reports whether a flight that had a claim may still have it, or
// had none. Another caller takes a claim that has lapsed.
func (s *Sessions) undisputed(ctx context.Context, f *flight) bool {
	if f.claim == nil {
		return true
	}
	claimed, err := s.get(ctx, f.claim.key)
	return err != nil || claimed == nil || bytes.Equal(claimed, f.claim.owner)
}

// release takes the claim of a flight away that has brought nothing: the next
// caller need not wait. If this fails, the claim lapses.
func (s *Sessions) release(ctx context.Context, f *flight) {
	if c := f.claim; c != nil {
		f.claim = nil
		_, _ = s.put(ctx, c.key, c.owner, nil, 0)
	}
}

// await returns a login as it stands when its record has changed, or when the
// claim of its handle has become that of f.
func (s *Sessions) await(ctx context.Context, f *flight, at *stored) (*stored, error) {
	looks, stop := pace.Watch(ctx, s.Store, loginKey(at.name))
	defer stop()
	for {
		now, done, err := s.look(ctx, f, at)
		if done {
			return now, nil
		}
		if err != nil {
			f.trouble.Store(&err)
		}
		if err := looks.Next(ctx); err != nil {
			return nil, fmt.Errorf("sessions: waiting for another caller: %w", err)
		}
	}
}

// look is one look of await.
func (s *Sessions) look(ctx context.Context, f *flight, at *stored) (now *stored, done bool, err error) {
	now, err = s.find(ctx, at.name)
	if err != nil || now == nil || !bytes.Equal(now.raw, at.raw) {
		return now, err == nil, err
	}
	if claimed, err := s.get(ctx, claimKey(at)); claimed != nil || err != nil {
		return nil, false, err
	}
	done, err = s.hold(ctx, f, now)
	return now, done, err
}
