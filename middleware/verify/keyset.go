package verify

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

const (
	retryEmpty = time.Second            // pause after a failure while there is no key
	failedWait = 250 * time.Millisecond // wait for a provider that failed before
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

// A keySet is the keys of one issuer. It has no goroutine of its own: requests
// that need newer keys than there are start a fetch, which runs beside them
// with its own time limit, one at a time.
//
// Times are durations since base, on the monotonic clock: what the machine
// believes about the date does not make keys older or younger.
type keySet struct {
	issuer string // for errors
	load   loadFunc
	limits *limits
	kidGap time.Duration // between fetches for unknown key IDs

	base   time.Time
	ctx    context.Context // of fetches
	cancel context.CancelFunc
	group  *sync.WaitGroup // of fetches; the owner waits for it

	current     atomic.Pointer[snapshot] // nil: no keys yet
	due         atomic.Int64             // before this, current is fresh and needs no look at mu
	kidGapUntil atomic.Int64             // before this, an unknown key ID is refused without a look at mu

	mu      sync.Mutex
	flight  *flight       // nil: no fetch is running
	started time.Duration // of the last fetch
	failure error         // of the last fetch; nil: it went well
	closed  bool
}

// A loadFunc gets the keys, given those that there are (nil at first). It is
// called once at a time.
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

// fresh reports whether the keys are so young that nothing needs to be done
// about them. It takes no lock.
func (s *keySet) fresh(now time.Time) bool {
	return int64(now.Sub(s.base)) < s.due.Load()
}

// renew sees to it that the keys are as young as they have to be, and returns
// them. From half their lifetime on it starts a fetch that nobody waits for;
// beyond their lifetime it waits, and falls back on the old keys, until
// MaxStale, only where that fetch fails.
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
		limit = s.waitLimit(at)
		wait = limit >= 0
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

// find returns the key that h names. For an ID that is not in the set it
// fetches once per cool-down; at other times the answer is no, at once.
func (s *keySet) find(ctx context.Context, now time.Time, h *header) (*key, error) {
	have, err := s.renew(ctx, now)
	if err != nil {
		return nil, err
	}
	if k := have.key(h); k != nil || !h.hasKid {
		return k, nil
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
		return s.current.Load().key(h), nil
	}
	// The last fetch may have found a newer set than the one looked at above.
	if k := s.current.Load().key(h); k != nil {
		return k, nil
	}
	return nil, failure
}

// next returns when the keys are to be fetched again. mu is held.
func (s *keySet) next(have *snapshot, usable bool) time.Duration {
	if !usable {
		return s.started + min(retryEmpty, s.limits.cooldown)
	}
	half := have.lifetime / 2
	return max(have.loaded+half, s.started+min(s.limits.cooldown, half))
}

// waitLimit returns how long a request may wait for the fetch that is running
// when it has other keys: 0 for as long as that takes, less for not at all. A
// provider that has failed has let everyone wait once; it may answer at once
// now, but while it does not, the old keys have to do. mu is held.
func (s *keySet) waitLimit(at time.Duration) time.Duration {
	if s.failure == nil {
		return 0
	}
	if limit := s.started + failedWait - at; limit > 0 {
		return limit
	}
	return -1
}

// replace puts next in the place of the current keys. A key that stays remains
// the same *key; one that goes dies, and with it what is remembered of the
// tokens that it signed. mu is held.
func (s *keySet) replace(next *snapshot) {
	old := s.current.Load()
	for id, k := range next.keys {
		switch {
		case old == nil || old.keys[id] == nil || next.renewed:
			k.set = s
		case old.keys[id] == k: // the set is unchanged: others are reading k
		case old.keys[id].same(k):
			next.keys[id] = old.keys[id]
		default:
			k.set = s
		}
	}
	s.current.Store(next)
	if old == nil {
		return
	}
	for id, k := range old.keys {
		if next.keys[id] != k {
			k.live.Store(false)
		}
	}
}

// schedule sets due: the next time at which a request has to look at mu. mu is
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

// stop ends a running fetch, without waiting for its end, and all keys die.
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
