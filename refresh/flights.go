package refresh

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"github.com/tokenlife/tokenlife/refresh/internal/pace"
)

// flights are the exchanges under way in this process, by refresh token. All
// callers with one refresh token wait for one flight.
type flights struct {
	mu      sync.Mutex
	closed  bool
	flying  map[key]*flight
	planned map[key]struct{} // refresh tokens that will be asked for again
}

// A flight is one exchange, and the callers that wait for it.
type flight struct {
	old         Tokens
	begin       time.Time
	presentedAt time.Time // when a client has presented old; zero: none has. Guarded by flights.mu
	waiters     int       // guarded by flights.mu

	attempts int // at the provider, this and earlier flights together
	slow     int // the last ones of them that have taken all the time there was

	done  chan struct{} // closed when the fields below are set
	next  Tokens
	asked bool // the provider, and not only the ledgers
	err   error
	news  uint64 // what had been told to Renewals when next were the newest
}

type key [sha256.Size]byte

// keyOf names a token in a table without holding it.
func keyOf(token string) key { return sha256.Sum256([]byte(token)) }

// join returns the flight of old, which begin is called with where there was
// none.
func (fs *flights) join(old Tokens, presentedAt time.Time, begin func(*flight)) (*flight, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	id := keyOf(old.Refresh)
	f := fs.flying[id]
	switch {
	case fs.closed:
		return nil, errClosed
	case f == nil && len(fs.flying) >= maxCalls, f != nil && f.waiters >= maxJoined:
		return nil, errBusy
	case f == nil:
		f = &flight{old: old, begin: time.Now(), presentedAt: presentedAt, done: make(chan struct{})}
		fs.flying[id] = f
		begin(f)
	}
	if f.presentedAt.IsZero() {
		f.presentedAt = presentedAt
	}
	f.waiters++
	return f, nil
}

// land ends f, and gives its result to the callers that wait.
func (fs *flights) land(f *flight) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	delete(fs.flying, keyOf(f.old.Refresh))
	close(f.done)
}

// presented returns when a client has presented t, with which the provider is
// asked for f: it may be a successor of f's tokens that never arrived.
func (fs *flights) presented(f *flight, t Tokens) time.Time {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if t.Refresh != f.old.Refresh {
		return time.Time{}
	}
	return f.presentedAt
}

// waiting returns how many callers wait for f now.
func (fs *flights) waiting(f *flight) int {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return f.waiters
}

// whileOpen calls begin unless the flights are closed, and reports whether it
// did.
func (fs *flights) whileOpen(begin func()) bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if !fs.closed {
		begin()
	}
	return !fs.closed
}

// close lets no flight begin any more. It reports whether it is the first call.
func (fs *flights) close() (first bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	first, fs.closed = !fs.closed, true
	return first
}

// run makes f. After a lost answer the callers that wait share the second
// attempt. Two more follow in nobody's name: a provider that has exchanged the
// refresh token gives the successor again within its grace. One without grace
// has ended the login already, and the browser's next request would find no
// other answer.
func (c *Coordinator) run(ctx context.Context, f *flight) {
	c.attempt(ctx, f)
	if f.attempts == 1 && f.mayAskAgain() && c.pause(f) {
		c.attempt(ctx, f)
	}
	f.news = c.held.news.Load()
	if f.err == nil {
		f.next, f.err = c.newestHere(f.next)
	}
	c.flights.land(f)
	if f.mayAskAgain() {
		c.askLater(ctx, f)
	}
}

// attempt exchanges the tokens of f once.
func (c *Coordinator) attempt(ctx context.Context, f *flight) {
	begin := time.Now()
	f.asked = false
	next, known, err := c.exchange(ctx, f)
	f.next, f.err = next, err
	if f.asked {
		f.attempts++
		if f.slow++; !errors.Is(err, context.DeadlineExceeded) {
			f.slow = 0
		}
	}
	if !known {
		c.observeCall(ctx, f, c.flights.waiting(f), time.Since(begin))
	}
}

// mayAskAgain reports whether f has lost an answer that may yet be had. A
// provider that takes too long twice would take as long again.
func (f *flight) mayAskAgain() bool {
	return f.asked && errors.Is(f.err, ErrNoAnswer) && f.attempts <= pace.MaxAgain && f.slow < 2
}

// pause waits before the next attempt. It reports false if the Coordinator has
// been closed.
func (c *Coordinator) pause(f *flight) bool {
	select {
	case <-time.After(pace.AfterLostAnswer(f.attempts-1, f.old.Refresh)):
		return true
	case <-c.closing:
		return false
	}
}

// askLater makes another flight after f.
func (c *Coordinator) askLater(ctx context.Context, f *flight) {
	if !c.flights.plan(f) {
		return
	}
	c.pause(f)
	c.flights.beginPlanned(f, func(next *flight) { c.wg.Go(func() { c.run(ctx, next) }) })
}

// plan reports whether a flight is to follow f: one for all that have lost an
// answer meanwhile, and none where the provider has more to do than to answer
// twice.
func (fs *flights) plan(f *flight) bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	id := keyOf(f.old.Refresh)
	if _, planned := fs.planned[id]; planned || len(fs.planned) >= maxAtOnce {
		return false
	}
	fs.planned[id] = struct{}{}
	return true
}

// beginPlanned begins the flight that was planned after f, unless one is under
// way.
func (fs *flights) beginPlanned(f *flight, begin func(*flight)) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	id := keyOf(f.old.Refresh)
	delete(fs.planned, id)
	if fs.closed || fs.flying[id] != nil {
		return
	}
	next := &flight{old: f.old, begin: time.Now(), presentedAt: f.presentedAt, attempts: f.attempts, slow: f.slow, done: make(chan struct{})}
	fs.flying[id] = next
	begin(next)
}
