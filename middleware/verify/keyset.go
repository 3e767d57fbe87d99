package verify

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	retryEmpty = time.Second            // between fetches that fail while there is no key
	knownWait  = time.Second            // of requests that have old keys, from the start of a fetch
	failedWait = 250 * time.Millisecond // likewise, for a provider whose last fetch failed
	maxWaiters = 16 << 10               // requests that wait for one fetch

	never = time.Duration(-1 << 62)
)

var (
	errClosed = errors.New("closed")
	errBusy   = errors.New("too many requests wait for the keys")
	errNoKeys = errors.New("no keys yet")
	errTooOld = errors.New("the keys are too old to be believed")
	errPanic  = errors.New("what gives the keys panicked")
)

// A keySet holds the keys of one issuer. It has no goroutine of its own. A
// request that needs newer keys starts a fetch, which runs in the background
// with its own time limit. There is one fetch at a time.
//
// Times are durations since base, on the monotonic clock, so that a change of
// the machine's date makes no key older or younger.
type keySet struct {
	issuer string // for errors
	load   loadFunc
	limits *limits
	kidGap time.Duration // minimum between fetches for unknown key IDs

	base   time.Time
	ctx    context.Context // of fetches
	cancel context.CancelFunc
	group  *sync.WaitGroup // of fetches; the owner waits for it

	current     atomic.Pointer[snapshot] // nil: no keys yet
	due         atomic.Int64             // before this time, current is used without taking mu
	kidGapUntil atomic.Int64             // before this time, unknown key IDs are refused without taking mu

	mu      sync.Mutex
	flight  *flight       // nil: no fetch is running
	started time.Duration // of the last fetch
	failure error         // of the last fetch; nil: it succeeded
	closed  bool
}

// A loadFunc gets the keys. old are the present keys, or nil. Calls do not
// overlap.
type loadFunc func(ctx context.Context, old *snapshot) (*snapshot, error)

// newKeySet returns an empty set whose fetches end with ctx and count in group.
func newKeySet(ctx context.Context, group *sync.WaitGroup, issuer string, l *limits, kidGap time.Duration, load loadFunc) *keySet {
	s := &keySet{issuer: issuer, load: load, limits: l, kidGap: kidGap, base: time.Now(), group: group}
	s.ctx, s.cancel = context.WithCancel(ctx)
	s.started = never
	s.due.Store(int64(never))
	s.kidGapUntil.Store(int64(never))
	return s
}

// fresh reports whether the keys are so young that no fetch is due. It takes no
// lock.
func (s *keySet) fresh(now time.Time) bool {
	return int64(now.Sub(s.base)) < s.due.Load()
}

// renew returns keys that are young enough to be used. After half their
// lifetime it starts a fetch in the background. After their lifetime it waits
// for that fetch, but not long, and returns the old keys if it fails or takes
// longer, until MaxStale.
func (s *keySet) renew(ctx context.Context, now time.Time) (*snapshot, error) {
	if s.fresh(now) {
		return s.current.Load(), nil
	}
	at := now.Sub(s.base)
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, errClosed
	}
	have := s.current.Load()
	usable, young := have.usable(at, s.limits), have.young(at)
	if s.flight == nil && at >= s.next(have, usable) {
		s.start(at)
	}
	f, failure := s.flight, s.failure
	s.schedule()
	wait := f != nil && !young
	var limit time.Duration
	if wait && usable {
		limit = s.started + f.patience - at
		wait = limit > 0
	}
	if wait && !f.join() {
		s.mu.Unlock()
		return nil, errBusy
	}
	s.mu.Unlock()

	if wait {
		if err := f.wait(ctx, limit); err != nil && !usable {
			return nil, err
		}
		at = time.Since(s.base)
		have = s.current.Load()
	} else if !usable && failure != nil {
		return nil, failure
	}
	switch {
	case have == nil:
		return nil, errNoKeys
	case !have.usable(at, s.limits):
		return nil, errTooOld
	case ctx.Err() != nil && wait:
		return nil, ctx.Err()
	}
	return have, nil
}

// find returns the keys that h can mean, one of which fits its algorithm, or
// nil. For an ID of which the set has no such key it fetches the set again,
// once per cool-down. Otherwise it returns nil at once.
func (s *keySet) find(ctx context.Context, now time.Time, h *header) ([]*key, error) {
	have, err := s.renew(ctx, now)
	if err != nil {
		return nil, err
	}
	if keys := have.named(h); keys != nil || !h.hasKid {
		return keys, nil
	}
	at := time.Since(s.base)
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, errClosed
	}
	if s.flight == nil && at >= s.started+s.kidGap {
		s.start(at)
	}
	s.schedule()
	f, failure, limit := s.flight, s.failure, s.waitLimit(at)
	wait := f != nil && limit >= 0
	if wait && !f.join() {
		s.mu.Unlock()
		return nil, errBusy
	}
	s.mu.Unlock()
	if wait {
		if err := f.wait(ctx, limit); err != nil {
			return nil, err
		}
		return s.current.Load().named(h), nil
	}
	// A fetch may have replaced the set since it was searched above.
	if keys := s.current.Load().named(h); keys != nil {
		return keys, nil
	}
	return nil, failure
}

// lastFetch returns when the last fetch began, and whether it is still running.
func (s *keySet) lastFetch() (at time.Time, running bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started == never {
		return time.Time{}, false
	}
	return s.base.Add(s.started), s.flight != nil
}

// next returns the time from which the keys are to be fetched again. mu is
// held.
func (s *keySet) next(have *snapshot, usable bool) time.Duration {
	if !usable {
		return s.started + min(retryEmpty, s.limits.cooldown)
	}
	half := have.lifetime / 2
	return max(have.loaded+half, s.started+min(s.limits.cooldown, half))
}

// waitLimit returns how long a request may wait for the running fetch that has
// keys, but not its own: 0 means until its end, and a negative value not at
// all. After a failed fetch the limit is failedWait from the start of the next
// one: a provider that works again answers within that. mu is held.
func (s *keySet) waitLimit(at time.Duration) time.Duration {
	if s.failure == nil {
		return 0
	}
	if limit := s.started + failedWait - at; limit > 0 {
		return limit
	}
	return -1
}

// patience returns how long after its start requests that have old keys wait
// for a fetch that starts now. They wait because a key may have been removed
// while nobody asked. During an outage that is known already they do not: the
// provider was down within the last maxAge, so that it has not published
// another set for longer than that. mu is held.
func (s *keySet) patience(at time.Duration) time.Duration {
	switch {
	case s.failure == nil:
		return knownWait
	case at-s.started >= s.limits.maxAge:
		return failedWait
	}
	return 0
}

// replace makes next the current keys. A key that is in both remains the same
// *key. A key that is not in next is no longer live, which ends the cached
// tokens that were verified with it. mu is held.
func (s *keySet) replace(next *snapshot) {
	old := s.current.Load()
	keys := make([]*key, len(next.keys)) // next may share the slice of old
	for i, k := range next.keys {
		if k.set == nil { // not that of old already, which requests read
			if twin := old.twin(k); twin != nil && !next.renewed {
				k = twin
			} else {
				k.set = s
			}
		}
		keys[i] = k
	}
	next.keys = keys
	next.index()
	s.current.Store(next)
	if old == nil {
		return
	}
	for _, k := range old.keys {
		if !slices.Contains(next.keys, k) {
			k.live.Store(false)
		}
	}
}

// schedule sets due, the next time at which a request has to take mu. mu is
// held.
func (s *keySet) schedule() {
	have := s.current.Load()
	switch {
	case s.closed || have == nil:
		s.due.Store(int64(never))
	case s.flight != nil:
		s.due.Store(int64(have.loaded + have.lifetime))
	default:
		s.due.Store(int64(min(s.next(have, true), have.loaded+s.limits.maxStale)))
	}
}

// stop cancels a running fetch, without waiting for its end. No key is live
// afterwards.
func (s *keySet) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.schedule()
	s.kidGapUntil.Store(int64(never))
	if have := s.current.Load(); have != nil {
		for _, k := range have.keys {
			k.live.Store(false)
		}
	}
	s.cancel()
}
