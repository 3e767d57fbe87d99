package login

import (
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/tokenlife/tokenlife/refresh"
)

// The redemptions of a Flow make sure that each attempt redeems its code once.
// A provider that sees a code twice revokes the tokens of its first use (RFC
// 6749, section 4.1.2): a user who reloads a slow callback would be signed out
// while signing in. Callbacks of one attempt that arrive together therefore
// share a redemption, and so does one that arrives after the client of the
// first has hung up. An attempt is used once an answer has been given.
type redemptions struct {
	mu      sync.Mutex
	entries *simplelru.LRU[[sha256.Size]byte, *redemption] // by state, oldest first
	slots   chan struct{}                                  // bounds the redemptions under way
	closed  bool
	wg      sync.WaitGroup
}

// A redemption is the exchange of one code, and the login that begins with it.
// The results of the exchange are set before done is closed.
type redemption struct {
	done      chan struct{} // nil: an answer has been given
	began     time.Time // before the exchange
	tokens    refresh.Tokens
	redeemErr error     // of the exchange
	ended     time.Time // of the exchange; guarded by redemptions.mu

	// The login begins once. All callbacks that have waited get its cookies.
	lock      chan struct{} // guards the fields below
	signedIn  bool
	signInErr error    // why the login has not begun
	cookies   []string // Set-Cookie lines of the login
}

const (
	maxEntries   = 8192
	maxRedeeming = 1024

	// resultTTL is how long a result is kept for a browser that has hung up.
	resultTTL = 30 * time.Second
)

var errBusy = errors.New("login: too many sign-ins under way, or the server is stopping")

func (rs *redemptions) setUp() {
	// The only error is that of a size that is not positive.
	rs.entries, _ = simplelru.NewLRU[[sha256.Size]byte, *redemption](maxEntries, nil)
	rs.slots = make(chan struct{}, maxRedeeming)
}

// join returns the redemption of the attempt with this state. It starts one
// with run if there is none. It returns nil if the attempt has been used.
func (rs *redemptions) join(state string, run func() (refresh.Tokens, error)) (*redemption, error) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.sweep()
	k := sha256.Sum256([]byte(state))
	if red, ok := rs.entries.Peek(k); ok {
		if red.isUsed() {
			return nil, nil
		}
		return red, nil
	}
	if rs.closed {
		return nil, errBusy
	}
	select {
	case rs.slots <- struct{}{}:
	default:
		return nil, errBusy
	}
	red := &redemption{began: time.Now(), done: make(chan struct{}), lock: make(chan struct{}, 1)}
	rs.entries.Add(k, red)
	rs.wg.Go(func() {
		defer func() { <-rs.slots }()
		red.tokens, red.redeemErr = recovered(run)
		rs.mu.Lock()
		red.ended = time.Now()
		rs.mu.Unlock()
		close(red.done)
	})
	return red, nil
}

// recovered returns the results of run, or an error if run panics. A panic in
// this goroutine would end the program, and its value may hold a token.
func recovered(run func() (refresh.Tokens, error)) (t refresh.Tokens, err error) {
	defer func() {
		if recover() != nil {
			t, err = refresh.Tokens{}, errors.New("login: the exchange panicked")
		}
	}()
	return run()
}

// isUsed reports whether the attempt with this state has been answered, or its
// result has been kept for longer than resultTTL.
func (rs *redemptions) isUsed(state string) bool {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	red, ok := rs.entries.Peek(sha256.Sum256([]byte(state)))
	return ok && red.isUsed()
}

func (red *redemption) isUsed() bool {
	return red.done == nil || !red.ended.IsZero() && time.Since(red.ended) > resultTTL
}

// markUsed marks the attempt with this state as used, because it is about to be
// answered. Callbacks that wait for its redemption already still get the
// result.
func (rs *redemptions) markUsed(state string) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.entries.Add(sha256.Sum256([]byte(state)), &redemption{ended: time.Now()}) // without the tokens
}

// sweep removes redemptions that are older than an attempt can be. The caller
// holds rs.mu.
func (rs *redemptions) sweep() {
	for {
		k, red, ok := rs.entries.GetOldest()
		if !ok || red.ended.IsZero() || time.Since(red.ended) <= attemptLife {
			return
		}
		rs.entries.Remove(k)
	}
}

func (rs *redemptions) close() {
	rs.mu.Lock()
	rs.closed = true
	rs.mu.Unlock()
	rs.wg.Wait()
}
