package sessions

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/internal/pace"
)

// flights are the refreshes under way in this process, by handle. A flight goes
// on when its callers have left.
type flights struct {
	mu      sync.Mutex
	flying  map[handle]*flight
	planned map[handle]bool // flights that follow one without an answer
	closed  bool

	slots   chan struct{} // bounds the calls of the provider
	closing chan struct{} // closed by close
	wg      sync.WaitGroup

	unwritten *lru.Cache[handle, unwritten] // by the handle that was presented
}

// An unwritten is a result that the Store has not taken: the tokens that the
// provider has given for those under a handle.
type unwritten struct {
	tokens refresh.Tokens
	until  time.Time // when this process stops trying by itself
}

// A flight is one refresh. Its results are set before done is closed.
type flight struct {
	done   chan struct{}
	tokens refresh.Tokens
	err    error

	trouble atomic.Pointer[error] // of the Store, with the result
	claim   *claim                // of the current handle, while the flight has it
	ends    uint64                // Sessions.ends before the last look at the record

	again int  // how many have gone before it without an answer
	slow  bool // the one before took all the time there was
}

const (
	maxFlights   = 16384 // refreshes under way
	maxAtOnce    = 1024  // of these, at the provider
	maxPlanned   = 1024
	maxUnwritten = 1024
)

// writingAgain is the pause before the next flight that is to write a result
// which the Store has not taken, and writingFor is how long they begin by
// themselves. After that the next caller with the handle brings one.
const (
	writingAgain = 500 * time.Millisecond
	writingFor   = 15 * time.Minute
)

func (fs *flights) open() (err error) {
	fs.flying, fs.planned = make(map[handle]*flight), make(map[handle]bool)
	fs.slots, fs.closing = make(chan struct{}, maxAtOnce), make(chan struct{})
	fs.unwritten, err = lru.New[handle, unwritten](maxUnwritten)
	return err
}

func (fs *flights) close() {
	fs.mu.Lock()
	if !fs.closed {
		fs.closed = true
		close(fs.closing)
	}
	fs.mu.Unlock()
	fs.wg.Wait()
}

// join returns the flight of a handle, which begins if there is none. It
// follows on before, if that is not nil.
func (s *Sessions) join(ctx context.Context, h handle, before *flight) (*flight, error) {
	fs := &s.flights
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f := fs.flying[h]; f != nil {
		return f, nil
	}
	switch {
	case fs.closed:
		return nil, errClosed
	case len(fs.flying) >= maxFlights:
		return nil, errBusy
	}
	f := &flight{done: make(chan struct{})}
	if before != nil {
		f.again, f.slow = before.again+1, errors.Is(before.err, context.DeadlineExceeded)
	}
	fs.flying[h] = f
	fs.wg.Go(func() {
		for landed := false; !landed; landed = s.land(h, f) {
			s.fly(ctx, h, f)
		}
		close(f.done)
		s.again(ctx, h, f)
	})
	return f, nil
}

// keep keeps a result that the Store has not taken. One that it will not take,
// because the record would be too large, is not tried again without a caller.
func (fs *flights) keep(h handle, t refresh.Tokens, final bool) {
	r, ok := fs.unwritten.Peek(h)
	if !ok {
		r.tokens = t
		if !final {
			r.until = time.Now().Add(writingFor)
		}
	}
	fs.unwritten.Add(h, r)
}

// land takes a flight out of those under way. It does not where a login was
// ended here since the flight has looked last: this may be the one, and a
// caller may have come after that.
func (s *Sessions) land(h handle, f *flight) bool {
	s.flights.mu.Lock()
	defer s.flights.mu.Unlock()
	if f.err == nil && f.ends != s.ends.Load() {
		return false
	}
	delete(s.flights.flying, h)
	return true
}

// fly is renew, with an error in place of a panic: in a goroutine of ours that
// would end the whole program, and its value may hold a token.
func (s *Sessions) fly(ctx context.Context, h handle, f *flight) {
	defer func() {
		if recover() != nil {
			f.tokens, f.err = refresh.Tokens{}, errors.New("sessions: the Store panicked")
		}
	}()
	f.tokens, f.err = s.renew(ctx, h, f)
}

// again begins another flight after f, for nobody in particular, where that may
// bring the login further.
func (s *Sessions) again(ctx context.Context, h handle, f *flight) {
	r, ok := s.flights.unwritten.Peek(h)
	switch {
	case f.err == nil || errors.Is(f.err, refresh.ErrDenied):
		s.flights.unwritten.Remove(h)
	case ok && time.Now().Before(r.until):
		s.follow(ctx, h, nil, writingAgain)
	case errors.Is(f.err, refresh.ErrNoAnswer):
		if f.again == pace.MaxAgain || f.slow && errors.Is(f.err, context.DeadlineExceeded) {
			return // who takes so long twice will not be hurried
		}
		s.follow(ctx, h, f, pace.AfterLostAnswer(f.again, string(h)))
	}
}

// follow begins a flight after a pause, unless one is planned already. It
// follows on before, if that is not nil.
func (s *Sessions) follow(ctx context.Context, h handle, before *flight, pause time.Duration) {
	fs := &s.flights
	fs.mu.Lock()
	planned := fs.planned[h] || len(fs.planned) >= maxPlanned
	if !planned {
		fs.planned[h] = true
	}
	fs.mu.Unlock()
	if planned {
		return
	}
	select {
	case <-time.After(pause):
	case <-fs.closing:
	}
	fs.mu.Lock()
	delete(fs.planned, h)
	fs.mu.Unlock()
	_, _ = s.join(ctx, h, before)
}
