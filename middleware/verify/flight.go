package verify

import (
	"context"
	"time"
)

// A flight is one fetch and the requests that wait for it.
type flight struct {
	done     chan struct{}
	err      error // set before done is closed
	waiters  int
	patience time.Duration // from its start, of requests that have old keys
}

// start begins a fetch. mu is held.
func (s *keySet) start(at time.Duration) {
	f := &flight{done: make(chan struct{}), patience: s.patience(at)}
	s.flight, s.started = f, at
	s.group.Go(func() {
		ctx, cancel := context.WithTimeout(s.ctx, s.limits.timeout)
		defer cancel()
		next, err := s.load(ctx, s.current.Load())
		s.mu.Lock()
		defer s.mu.Unlock()
		switch {
		case s.closed:
			err = errClosed // the fetch was cancelled, whatever its own error
		case err == nil:
			next.loaded = at
			s.replace(next)
			s.kidGapUntil.Store(int64(at + s.kidGap))
		}
		f.err = err
		s.flight, s.failure = nil, err
		s.schedule()
		close(f.done)
	})
}

// join counts one more waiting request and reports whether there is room for
// it. mu is held.
func (f *flight) join() bool {
	f.waiters++
	return f.waiters <= maxWaiters
}

// wait waits for the end of the fetch, and no longer than limit unless it is
// zero.
func (f *flight) wait(ctx context.Context, limit time.Duration) error {
	var timeout <-chan time.Time
	if limit > 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	case <-timeout:
		return context.DeadlineExceeded
	}
}
