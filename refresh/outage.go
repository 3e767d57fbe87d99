package refresh

import (
	"context"
	"errors"
	"sync"
	"time"
)

// An outage is a time in which every look at the store fails.
type outage struct {
	mu          sync.Mutex
	since, last time.Time // of its first and its last failure; zero: the store works
}

// maxPatience is how long a store is waited for at most. Who has begun a call may
// have died with its claim in the store: its tokens must be asked for again within
// the provider's grace, and the wait for that claim comes first (maxClaim).
const maxPatience = maxClaim / 2

// silence is how long after its last failure an outage is believed to be over, if
// nobody has looked.
const silence = time.Minute

// looked is deferred, and notes how a look at the store went that began at begin.
// That ctx has ended, and with it the look, says nothing of the store.
func (o *outage) looked(ctx context.Context, begin time.Time, err *error) {
	if *err != nil && ctx.Err() != nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case *err == nil:
		o.since = time.Time{}
	case o.since.IsZero() || begin.Sub(o.last) > silence:
		o.since, o.last = begin, time.Now()
	default:
		o.last = time.Now()
	}
}

// lasted is for how long the store has been failing, or 0.
func (o *outage) lasted() time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.since.IsZero() || time.Since(o.last) > silence {
		return 0
	}
	return time.Since(o.since)
}

// patiently calls f, and again where the store fails: one that restarts is back in
// a moment, while replicas that go on without each other may present one refresh
// token twice. Three times at least, as it may be this process that has stood still.
// From a store that has failed for long nothing more is hoped, and f is called once.
func (s *shared) patiently(ctx context.Context, f func() error) error {
	left := s.patience - s.outage.lasted()
	if left <= 0 {
		return f()
	}
	ctx, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	return s.insist(ctx, 3, f)
}

// insist calls f until it succeeds or, after so many times at least, ctx ends, with
// pauses. A sign-out is no error of the store, and ends it; so does a record that
// will not become readable.
func (s *shared) insist(ctx context.Context, least int, f func() error) error {
	pause := 5 * time.Millisecond
	for n := 1; ; n++ {
		err := f()
		if err == nil || errors.Is(err, ErrEnded) || errors.Is(err, errUnreadable) {
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
