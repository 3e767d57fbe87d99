package login

import (
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/tokenlife/tokenlife/refresh"
)

// A desk is where codes are redeemed, one redemption an attempt. A provider
// that sees a code twice ends what the first use gave (RFC 6749, section
// 4.1.2), and a user who reloads a slow callback would so be signed out in the
// moment of signing in. Hence callbacks that come together share a redemption,
// and so does one that comes after a client that hung up. Once an answer has
// been given the attempt is spent.
type desk struct {
	mu      sync.Mutex
	entries *simplelru.LRU[[sha256.Size]byte, *redemption] // by state, oldest first
	slots   chan struct{}                                  // bounds the redemptions under way
	closed  bool
	wg      sync.WaitGroup
}

// A redemption is the exchange of one code, and the login that begins with it.
// The results of the exchange are set before done is closed.
type redemption struct {
	done   chan struct{} // nil: an answer has been given
	tokens refresh.Tokens
	ended  time.Time // guarded by the desk

	failed error // of the exchange

	// The login begins once, and is everybody's who has waited.
	turn     chan struct{} // guards the rest
	signedIn bool
	err      error    // why it has not begun
	cookies  []string // Set-Cookie lines of the login
}

const (
	maxEntries   = 8192
	maxRedeeming = 1024

	// collect is how long a result waits for a browser that hung up.
	collect = 30 * time.Second
)

var errBusy = errors.New("login: too many sign-ins under way, or the server is stopping")

func (d *desk) open() {
	// The size is a constant above zero: the only error there is.
	d.entries, _ = simplelru.NewLRU[[sha256.Size]byte, *redemption](maxEntries, nil)
	d.slots = make(chan struct{}, maxRedeeming)
}

// enter returns the redemption of the attempt with this state, which it has
// started with run where there was none, or nil if the attempt is spent.
func (d *desk) enter(state string, run func() (refresh.Tokens, error)) (*redemption, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sweep()
	k := sha256.Sum256([]byte(state))
	if red, ok := d.entries.Peek(k); ok {
		if red.spent() {
			return nil, nil
		}
		return red, nil
	}
	if d.closed {
		return nil, errBusy
	}
	select {
	case d.slots <- struct{}{}:
	default:
		return nil, errBusy
	}
	red := &redemption{done: make(chan struct{}), turn: make(chan struct{}, 1)}
	d.entries.Add(k, red)
	d.wg.Go(func() {
		defer func() { <-d.slots }()
		red.tokens, red.failed = calmly(run)
		d.mu.Lock()
		red.ended = time.Now()
		d.mu.Unlock()
		close(red.done)
	})
	return red, nil
}

// calmly makes a panic an error: in a goroutine of ours it would end the whole
// program, and its value may hold a token.
func calmly(run func() (refresh.Tokens, error)) (t refresh.Tokens, err error) {
	defer func() {
		if recover() != nil {
			t, err = refresh.Tokens{}, errors.New("login: the exchange panicked")
		}
	}()
	return run()
}

// spent reports whether the attempt with this state has been answered, or its
// result was left lying for too long.
func (d *desk) spent(state string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	red, ok := d.entries.Peek(sha256.Sum256([]byte(state)))
	return ok && red.spent()
}

func (red *redemption) spent() bool {
	return red.done == nil || !red.ended.IsZero() && time.Since(red.ended) > collect
}

// deliver says that an answer is about to be given: from now on the attempt is
// spent, but for those who wait already.
func (d *desk) deliver(state string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entries.Add(sha256.Sum256([]byte(state)), &redemption{ended: time.Now()}) // without the tokens
}

// sweep forgets what is older than any attempt can be. The caller holds d.mu.
func (d *desk) sweep() {
	for {
		k, red, ok := d.entries.GetOldest()
		if !ok || red.ended.IsZero() || time.Since(red.ended) <= attemptLife {
			return
		}
		d.entries.Remove(k)
	}
}

func (d *desk) close() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.wg.Wait()
}
