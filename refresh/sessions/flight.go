package sessions

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/tokenlife/tokenlife/refresh"
)

// flights are the refreshes under way in this process, by handle. A flight goes on
// when its callers have left.
type flights struct {
	mu      sync.Mutex
	flying  map[handle]*flight
	planned map[handle]bool // flights that follow one without an answer
	closed  bool

	slots   chan struct{} // bounds the calls of the provider
	closing chan struct{} // closed by close
	wg      sync.WaitGroup

	// unwritten are tokens that the provider has given for those under a handle,
	// and that the Store has not taken.
	unwritten *lru.Cache[handle, refresh.Tokens]
}

// A flight is one refresh. Its results are set before done is closed.
type flight struct {
	done   chan struct{}
	tokens refresh.Tokens
	err    error

	trouble atomic.Pointer[error] // of the Store, with the result
	claim   *claim                // of the current handle, while the flight has it

	again int  // how many have gone before it without an answer
	slow  bool // the one before took all the time there was
}

const (
	maxFlights   = 16384 // refreshes under way
	maxAtOnce    = 1024  // of these, at the provider
	maxPlanned   = 1024
	maxUnwritten = 1024
)

// askingAgain are the pauses before the provider is asked again whose answer was
// lost. Together they are less than ten seconds, the shortest grace for an
// exchanged token that providers recommend. Each is shorter by up to a half, by
// another part for each handle, so that they do not all ask at once.
var askingAgain = [...]time.Duration{time.Second, 2 * time.Second, 4 * time.Second}

func (fs *flights) open() (err error) {
	fs.flying, fs.planned = make(map[handle]*flight), make(map[handle]bool)
	fs.slots, fs.closing = make(chan struct{}, maxAtOnce), make(chan struct{})
	fs.unwritten, err = lru.New[handle, refresh.Tokens](maxUnwritten)
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

// join returns the flight of a handle, which begins if there is none. It follows
// on before, if that is not nil.
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
		s.fly(ctx, h, f)
		fs.mu.Lock()
		delete(fs.flying, h)
		fs.mu.Unlock()
		close(f.done)
		if errors.Is(f.err, refresh.ErrNoAnswer) {
			s.askAgain(ctx, h, f)
		}
	})
	return f, nil
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

// askAgain begins another flight after f, for nobody in particular. A provider that
// has exchanged the refresh token gives the new ones again within its grace.
func (s *Sessions) askAgain(ctx context.Context, h handle, f *flight) {
	if f.again == len(askingAgain) || f.slow && errors.Is(f.err, context.DeadlineExceeded) {
		return // who takes so long twice will not be hurried
	}
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
	pause := askingAgain[f.again]
	pause -= pause / 2 * time.Duration(sha256.Sum256([]byte(h))[0]) / 256
	select {
	case <-time.After(pause):
	case <-fs.closing:
	}
	fs.mu.Lock()
	delete(fs.planned, h)
	fs.mu.Unlock()
	_, _ = s.join(ctx, h, f)
}
