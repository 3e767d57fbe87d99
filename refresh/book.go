package refresh

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// A book is what a Coordinator remembers of logins: which tokens are the newest
// of each, and which older ones still lead there.
type book struct {
	grace, keep time.Duration
	together    bool // replicas know more than this book

	// unseen counts the entries of awaited, so that a request which needs
	// nothing pays one load.
	unseen atomic.Int64

	mu      sync.Mutex // guards everything below, and all logins, pages and calls
	closed  bool
	calls   map[key]*call              // under way, by refresh token
	again   map[key]struct{}           // to be begun again soon
	pages   *simplelru.LRU[key, *page] // by refresh token
	pinned  map[key]*page              // had to leave pages while a response needs them
	refused *simplelru.LRU[key, refusal]
	awaited map[string]*login // by the newest access token, until it has been presented
	sweepAt int
}

// A call is one question to the provider, and those who wait for its answer.
type call struct {
	login  *login
	old    Tokens
	sent   bool      // a client has presented them
	asked  bool      // the provider, and not only what is known
	since  time.Time // when the successor came, where it was known; zero: nobody can say
	joined int
	again  int           // how often it has been begun without anybody asking
	slow   bool          // then: the one before had no answer in its time
	done   chan struct{} // closed when err is set and the book written
	err    error
}

// presented tells whether a client has sent t, which the provider is asked with:
// it may be what followed k's tokens and has ended without having arrived.
func (k *call) presented(t Tokens) bool { return k.sent && t.Refresh == k.old.Refresh }

// A login is all that shares one sign-in: a chain of tokens, each the successor
// of the one before.
type login struct {
	newest     Tokens
	generation int
	pages      []*page
	until      time.Time // when it may be forgotten
	over       error     // why nobody can use it any more; nil: it is alive
	overSince  time.Time // when it came to that
	untold     string    // the access token that only this process knows, for want of a Store
	held       int       // Renewals not yet released
	joined     *login    // the one that it has turned out to be a part of
}

// whole returns the login that l is, or is a part of.
func (l *login) whole() *login {
	for l.joined != nil {
		l = l.joined
	}
	return l
}

// A page leads from one refresh token to its login.
type page struct {
	key        key
	login      *login
	generation int
	since      time.Time // when a successor of the refresh token came, as far as is known
	until      time.Time // of use until then; set once to arrival plus grace
}

type refusal struct {
	err          error
	since, until time.Time
}

// Why a login is over, if it is not the provider's word.
var (
	errSignedOut = fmt.Errorf("%w: signed out", ErrEnded)
	errReplaced  = fmt.Errorf("%w: replaced by a new sign-in", ErrEnded)
	errLongOver  = fmt.Errorf("%w: signed out", ErrDenied)
)

// verdict is err for who comes now. Some time after a sign-out nobody who comes
// with its tokens can have been under way: they are dead, and may be cleared.
func (b *book) verdict(err error, since, now time.Time) error {
	if errors.Is(err, ErrEnded) && now.Sub(since) >= b.grace {
		return errLongOver
	}
	return err
}

func (b *book) open(grace, keep time.Duration, together bool) {
	b.grace, b.keep, b.together = grace, keep, together
	b.calls = make(map[key]*call)
	b.again = make(map[key]struct{})
	b.awaited = make(map[string]*login)
	b.pinned = make(map[key]*page)
	b.sweepAt = 1024
	// The sizes are constants above zero: the only error there is.
	b.pages, _ = simplelru.NewLRU(maxBook, b.evicted)
	b.refused, _ = simplelru.NewLRU[key, refusal](maxRefusals, nil)
}

// enter returns the newest tokens of old's login where they are newer than old,
// and otherwise the call that will bring them, which it has started by start
// where there was none.
func (b *book) enter(old Tokens, sent bool, start func(*call)) (*Renewal, *call, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l, err := b.find(old, sent)
	switch {
	case err != nil:
		return nil, nil, err
	case l == nil:
		l = &login{newest: old}
	case b.together:
		// The book knows what this process has seen; what is the newest, and
		// whether the user has signed out elsewhere, the call finds out.
	case l.newest.leads(old):
		return b.renewal(l), nil, nil
	default:
		old = l.newest
	}
	id := keyOf(old.Refresh)
	k, running := b.calls[id]
	switch {
	case running && k.joined >= maxJoined, !running && len(b.calls) >= maxCalls:
		return nil, nil, errBusy
	case running:
		k.joined++
	case b.closed:
		return nil, nil, errClosed
	default:
		k = &call{login: l, old: old, sent: sent, joined: 1, done: make(chan struct{})}
		b.calls[id] = k
		start(k)
	}
	return nil, k, nil
}

// leave ends a call with what it has brought. It returns true where that is no
// longer wanted.
func (b *book) leave(k *call, next Tokens, err error) (unwanted bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	k.login = k.login.whole()
	switch {
	case k.login.over != nil:
		// Of a login that has been replaced nothing is revoked: the provider may
		// count its tokens and those of the new one as one grant.
		unwanted, k.err = err == nil && !errors.Is(k.login.over, errReplaced), k.login.over
	case err == nil:
		if k.asked && k.since.IsZero() {
			k.since = time.Now()
		}
		b.succeed(k.login, k.old, next, k.since)
	case errors.Is(err, ErrDenied):
		now := time.Now()
		b.refused.Add(keyOf(k.old.Refresh), refusal{err, now, now.Add(refusalLife)})
		k.err = err
		if k.old.Refresh == k.login.newest.Refresh {
			// A slow response must not write what can never be used again: the
			// browser may have signed in anew.
			b.finish(k.login, err, now)
		}
	default:
		k.err = err
	}
	delete(b.calls, keyOf(k.old.Refresh))
	close(k.done)
	return unwanted
}

// newest returns the newest tokens of l that this process knows.
func (b *book) newest(l *login) Tokens {
	newest, _ := b.newestOf(l)
	return newest
}

// newestOf is newest, and tells whether nobody else knows them.
func (b *book) newestOf(l *login) (newest Tokens, untold bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l = l.whole()
	return l.newest, l.newest.Access != "" && l.newest.Access == l.untold
}

// untold notes that the Store has not been told of access, the newest access token
// of l, and told that it has.
func (b *book) untold(l *login, access string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l.whole().untold = access
}

func (b *book) told(l *login, access string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if l = l.whole(); l.untold == access {
		l.untold = ""
	}
}

// follows returns the newest tokens of k's login where those that k is for have
// been replaced less than half of grace ago, and how long they lead there yet. Half,
// since that may have been by another replica's clock: what has had its grace must
// not come back.
func (b *book) follows(k *call) (newest Tokens, ttl time.Duration, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := k.login.whole()
	p, ok := b.page(keyOf(k.old.Refresh))
	if !ok || p.login != l || l.over != nil || p.generation >= l.generation {
		return Tokens{}, 0, false
	}
	return l.newest, time.Until(p.until), time.Since(p.since) < b.grace/2
}

// whileOpen calls f unless the book is closed, and tells whether it did.
func (b *book) whileOpen(f func()) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		f()
	}
	return !b.closed
}

// close lets no call begin any more. It returns false if it had been called before.
func (b *book) close() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	was := b.closed
	b.closed = true
	return !was
}

// hold returns what l has come to.
func (b *book) hold(l *login) (*Renewal, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if l = l.whole(); l.over != nil {
		return nil, l.over
	}
	return b.renewal(l), nil
}

func (b *book) renewal(l *login) *Renewal {
	l.held++
	return &Renewal{Tokens: l.newest, Remembered: true, book: b, login: l}
}

// find returns the login that old leads to, nil if none is known, or the error
// with which it has been refused.
func (b *book) find(old Tokens, sent bool) (*login, error) {
	now := time.Now()
	if sent {
		b.arrived(old.Access, now)
	}
	k := keyOf(old.Refresh)
	if r, ok := b.refused.Get(k); ok {
		if now.Before(r.until) {
			return nil, b.verdict(r.err, r.since, now)
		}
		b.refused.Remove(k)
	}
	p, ok := b.page(k)
	if !ok {
		return nil, nil
	}
	l := p.login
	if l.over != nil {
		return nil, b.verdict(l.over, l.overSince, now)
	}
	if sent && p.generation == l.generation && l.generation > 0 {
		b.arrive(l, now) // the newest refresh token itself has come back
	}
	if p.generation < l.generation && !now.Before(p.until) {
		// Too old to be a request that was under way: the provider decides,
		// and takes it for reuse if it keeps to RFC 9700.
		b.drop(p)
		return nil, nil
	}
	return l, nil
}
