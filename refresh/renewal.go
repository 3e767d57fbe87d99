package refresh

import (
	"context"
	"errors"
	"sync"
	"time"
)

// A Renewal is a renewed login in the hands of one response. Its methods may be
// called from several goroutines at once.
type Renewal struct {
	// Tokens are the newest of the login at the time of the call.
	Tokens Tokens

	// Remembered reports that the Tokens were known before, and not fetched
	// from the provider just now: they may be of any age.
	Remembered bool

	c     *Coordinator
	begin time.Time

	mu       sync.Mutex
	timer    *time.Timer // of the next look at the Store
	released bool

	// What follows is guarded by held.mu.
	newest  Tokens
	ended   error     // why the login has ended; nil: it has not
	knownAt time.Time // when newest were the newest, as far as is known

	in             *holders // those of the same refresh token; nil: it was released
	previous, next *Renewal
}

// renewal returns what f has brought, for one response.
func (c *Coordinator) renewal(f *flight) (*Renewal, error) {
	if f.err != nil {
		return nil, f.err
	}
	now := time.Now()
	r := &Renewal{Tokens: f.next, c: c, begin: now, Remembered: !f.asked, newest: f.next, knownAt: now}
	c.held.add(r)
	// From here on r is told of news. What came between the landing of f and
	// now is found in the ledger.
	if c.held.news.Load() != f.news {
		newest, err := c.newestHere(f.next)
		if err != nil {
			c.held.remove(r)
			return nil, err
		}
		c.held.catchUp(r, f.next, newest)
		r.Tokens, _, _ = c.held.newest(r)
	}
	if c.all != nil {
		// A Store may lose a result while a slow response is made.
		r.mu.Lock()
		defer r.mu.Unlock()
		r.timer = time.AfterFunc(r.pace(), r.keepUp)
	}
	return r, nil
}

// pace is the time between two looks while a slow response is made.
func (r *Renewal) pace() time.Duration { return max(r.c.all.grace/3, time.Second) }

func (r *Renewal) keepUp() {
	r.look(context.Background())
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.released {
		r.timer.Reset(r.pace())
	}
}

// newestHere returns the newest tokens that this process knows of the login of
// t, or why it has ended. A provider that answers a token twice may have given
// what has been exchanged since.
func (c *Coordinator) newestHere(t Tokens) (Tokens, error) {
	at, err := c.own.follow(context.Background(), t)
	if err != nil {
		return t, nil
	}
	switch at.record.kind() {
	case ended, refused:
		return t, c.own.verdict(at.record)
	}
	if at.newest.Refresh == t.Refresh && c.all != nil {
		return t, nil // of a provider that does not rotate, the Store knows more
	}
	return at.newest, nil
}

// Newest returns the newest tokens that are known of the login now. A response
// asks at its last moment: what it was given when it began may have been
// exchanged again while it was made, and must not replace its own successor in
// the browser.
//
// It returns false if the login has ended since; or if that cannot be told,
// because the Store is out of reach, and the response has taken almost as long
// as Grace: then the tokens that the client has may be the newer ones, and if
// not, the Store leads on from them.
func (r *Renewal) Newest(ctx context.Context) (Tokens, bool) {
	newest, at, over := r.c.held.newest(r)
	if r.c.all != nil && time.Since(r.begin) > fresh {
		r.look(ctx)
		newest, at, over = r.c.held.newest(r)
	}
	if over != nil {
		return Tokens{}, false
	}
	blind := r.c.all != nil && time.Since(at) > r.c.all.grace*5/6
	return newest, !blind || r.c.onlyHere.Contains(newest.Access)
}

// fresh is how long the Store's last answer is as good as a new one, which
// would be under way for as long. A response written at once costs no look.
const fresh = 5 * time.Millisecond

// look asks the Store what has become of the login.
func (r *Renewal) look(ctx context.Context) {
	known, _, over := r.c.held.newest(r)
	if over != nil {
		return
	}
	if o, ok := r.c.onlyHere.Get(known.Access); ok {
		// The login may have ended while the Store could not be told of it.
		if err := r.c.publishOnce(ctx, &o); errors.Is(err, ErrEnded) {
			r.c.held.end(known.Refresh, err)
			return
		}
	}
	at, err := r.c.all.follow(ctx, known)
	switch {
	case err != nil:
		return
	case at.record.kind() == ended:
		r.c.held.end(known.Refresh, at.record.reason())
	case at.record.kind() == refused:
		r.c.held.end(known.Refresh, errRefused)
	case at.newest.Access != known.Access:
		r.c.learnTrail(ctx, known, time.Time{}, r.c.all, at)
	}
	r.c.held.confirm(r)
}

// Renew is [Coordinator.Renew] for the tokens of r, which the client has not
// got yet: the older ones that it has stay good for as long as before.
func (r *Renewal) Renew(ctx context.Context) (*Renewal, error) {
	return r.c.renew(ctx, r.Tokens, time.Time{})
}

// Release says that the response has been written. It may be called more than
// once.
func (r *Renewal) Release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.released = true
	if r.timer != nil {
		r.timer.Stop()
	}
	r.c.held.remove(r)
}
