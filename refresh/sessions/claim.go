package sessions

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"sync/atomic"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
)

// A claim is in the record of a login while one caller asks the provider with its
// refresh token. Other callers wait for the result, which replaces record and
// claim in one write.
//
//	the record of a login            a caller with its current handle
//	without a claim                  claims it, and asks the provider
//	with a claim                     waits until the record changes
//	with a claim that has lapsed     claims it for a shorter time, and asks
//	with a newer handle              gets the tokens of that handle
type claim struct {
	Owner string `json:"owner"` // a random name of the call
	At    int64  `json:"at"`    // when it was made or renewed: Unix milliseconds of a clock
	Life  int64  `json:"life"`  // milliseconds from At until it lapses
}

// maxClaim is the longest life of a claim early in a call. Its owner may have died
// when the provider had exchanged the token. Others must be able to ask again
// within the provider's grace, for which ten seconds are the least that is
// recommended.
const maxClaim = 5 * time.Second

// maxTakeover is the same for a claim that takes the place of one which has lapsed.
// If its owner dies as well, a third caller must be in time for that grace.
const maxTakeover = 3 * time.Second

// ownedBy reports whether the claim of l is the claim of other.
func (l *login) ownedBy(other *login) bool {
	return l.Claim != nil && other.Claim != nil && l.Claim.Owner == other.Claim.Owner
}

// claim puts a claim into the login of a current handle. It returns the claimed
// login, or nil if the record has changed since it was read. An error says that
// the claim may be there: it will lapse.
func (s *Sessions) claim(ctx context.Context, at *stored) (*stored, error) {
	life := min(3*s.timeout, maxClaim)
	if at.Claim != nil {
		life = min(life, maxTakeover)
	}
	l := at.login
	l.arrive(time.Now(), s.grace)
	owner := rand.Text()
	for {
		begin := time.Now()
		l.Claim = &claim{Owner: owner, At: s.clock.now(), Life: life.Milliseconds()}
		mine, err := s.write(ctx, at, &l)
		if mine == nil || err != nil || time.Since(begin) < life/3 {
			return mine, err
		}
		at = mine // this process has stood still: is the claim still there?
	}
}

// renewClaim is claim for a claim that is held, for the nth time. It returns the
// login as it stands then, if that is known, with the claim or without it.
func (s *Sessions) renewClaim(ctx context.Context, mine *stored, n int) *stored {
	l, c := mine.login, *mine.Claim
	c.At = s.clock.now()
	if n >= 3 {
		// Too late to ask again: the answer is the best hope.
		c.Life = max(c.Life, (3 * s.timeout).Milliseconds())
	}
	l.Claim = &c
	renewed, err := s.write(ctx, mine, &l)
	if renewed != nil || err != nil {
		return cmp.Or(renewed, mine)
	}
	if now, err := s.find(ctx, mine.name); err == nil && now != nil && now.ownedBy(&mine.login) {
		return now // an arrival was noted in it
	}
	return mine
}

// lapses returns when the claim of a login lapses that has stood since a time. That
// is after its life by the clock, or when it has been seen for its whole life.
func (s *Sessions) lapses(c *claim, since time.Time) time.Time {
	left := time.Duration(c.At+c.Life-s.clock.now()) * time.Millisecond
	byClock, seen := time.Now().Add(left), since.Add(time.Duration(c.Life)*time.Millisecond)
	if seen.Before(byClock) {
		return seen
	}
	return byClock
}

// await returns the login at when its record has changed, nil if it is gone, or at
// itself at a time.
func (s *Sessions) await(ctx context.Context, at *stored, until time.Time) (*stored, error) {
	var changed <-chan struct{}
	if w, ok := s.Store.(refresh.Watcher); ok {
		c, stop, err := w.Watch(ctx, loginKey(at.name))
		if err == nil {
			changed = c
			defer stop()
		}
	}
	for begin := time.Now(); ; {
		now, err := s.find(ctx, at.name)
		switch {
		case err == nil && (now == nil || !bytes.Equal(now.raw, at.raw)):
			return now, nil
		case !time.Now().Before(until):
			return at, err
		}
		// Seldom enough to spare the store, often enough that a wait is not
		// made longer by more than a tenth.
		pause := min(max(5*time.Millisecond, time.Since(begin)/10), 250*time.Millisecond, max(time.Until(until), time.Millisecond))
		select {
		case _, open := <-changed:
			if !open {
				changed = nil
			}
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// A clock is that of this process, put forward to the latest time that another
// process has written. So a claim does not look older than it is to a process
// whose clock is ahead and whose records have been read here.
type clock struct{ ahead atomic.Int64 } // milliseconds

// maxAhead bounds what the clock of another process is believed.
const maxAhead = time.Minute

func (c *clock) now() int64 { return time.Now().UnixMilli() + c.ahead.Load() }

// saw puts the clock forward to a time that was read.
func (c *clock) saw(at int64) {
	ahead := at - time.Now().UnixMilli()
	if ahead > maxAhead.Milliseconds() {
		return
	}
	for {
		was := c.ahead.Load()
		if ahead <= was || c.ahead.CompareAndSwap(was, ahead) {
			return
		}
	}
}
