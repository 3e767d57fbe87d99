package refresh

import (
	"context"
	"slices"
	"sync"
	"time"
)

// A Renewal is a renewed login in the hands of one response. Its methods may be
// called from several goroutines at once.
type Renewal struct {
	// Tokens are the newest of the login at the time of the call.
	Tokens Tokens

	// Remembered tells that the Tokens were known before, and not fetched from
	// the provider just now: they may be of any age.
	Remembered bool

	c     *Coordinator
	book  *book
	login *login
	sh    *shared // nil without a Store

	mu       sync.Mutex // guards what follows
	look     *time.Timer
	known    string    // the newest access token, as of the last look at the store
	tried    time.Time // when that was
	looked   time.Time // since when nothing can have become of it: mostly, the last look that was answered
	gone     bool      // something may have, and have had its time in the store
	released bool
}

// hold returns what a call has brought, for one response.
func (c *Coordinator) hold(k *call) (*Renewal, error) {
	r, err := c.book.hold(k.login)
	if r != nil {
		r.c, r.Remembered = c, !k.asked
	}
	if err != nil || c.sh == nil {
		return r, err
	}
	r.sh = c.sh
	// In the store a result that has arrived stands for grace, which a slow
	// response may outlast: so it keeps itself up to date.
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	r.known, r.tried, r.looked = r.Tokens.Access, now, now
	r.look = time.AfterFunc(c.sh.pace(), r.keepUp)
	return r, nil
}

// pace is how often a slow response looks what has become of its login.
func (s *shared) pace() time.Duration { return max(s.grace/3, time.Second) }

func (r *Renewal) keepUp() {
	r.follow(context.Background())
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.released {
		r.look.Reset(r.sh.pace())
	}
}

// follow asks the store what has become of the login.
func (r *Renewal) follow(ctx context.Context) {
	known := r.begin()
	if known.Refresh == "" {
		return // it has ended
	}
	f, err := r.sh.follow(ctx, known)
	if err == nil {
		var over error
		switch f.record.kind() {
		case ended:
			over = f.record.over()
		case refused:
			over = errRefused
		}
		r.book.learn(r.login, f.newest, f.since, over)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.looked) > 5*r.sh.pace()/2 { // almost as long as a result stands, if Grace is no shorter than that
		r.gone = true
	}
	if err == nil {
		r.looked = time.Now()
		if f.newest.Access != known.Access {
			r.known, r.gone = f.newest.Access, false
		}
	}
}

// begin begins a look for what has become of the newest tokens known here, and
// returns them. If this process has got them itself since the last look, nothing had
// until then.
func (r *Renewal) begin() Tokens {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.book.newest(r.login)
	if known.Access != r.known {
		r.known, r.looked, r.gone = known.Access, r.tried, false
	}
	r.tried = time.Now()
	return known
}

// Newest returns the newest tokens that are known of the login now. A response asks
// at its last moment: what it was given when it began may have been exchanged again
// while it was made, and must not replace its own successor in the browser.
//
// It returns false if the login has ended since; or if that cannot be told, because
// the Store was out of reach for almost as long as Grace: then the tokens that the
// client has may be the newer ones, and if not, the Store leads on from them.
func (r *Renewal) Newest(ctx context.Context) (Tokens, bool) {
	if r.sh != nil {
		r.follow(ctx)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	newest, untold := r.book.newestOf(r.login)
	return newest, newest.Refresh != "" && (!r.gone || untold)
}

// Renew is [Coordinator.Renew] for the tokens of r, which the client has not got
// yet: the older ones that it has stay good for as long as before.
func (r *Renewal) Renew(ctx context.Context) (*Renewal, error) {
	return r.c.renew(ctx, r.Tokens, false)
}

// Release says that the response has been written. It may be called more than once.
func (r *Renewal) Release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.released {
		return
	}
	r.released = true
	if r.look != nil {
		r.look.Stop()
	}
	r.book.release(r.login)
}

// learn notes what other replicas know of l.
func (b *book) learn(l *login, newest Tokens, since time.Time, over error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l = l.whole()
	switch {
	case l.over != nil:
	case over != nil:
		b.finish(l, over, time.Now())
	case newest.Access != l.newest.Access:
		b.succeed(l, l.newest, newest, since)
	}
}

// release lets go of l for one response.
func (b *book) release(l *login) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l = l.whole()
	l.held--
	if l.held > 0 {
		return
	}
	for _, p := range slices.Clone(l.pages) {
		if b.pinned[p.key] == p {
			delete(b.pinned, p.key)
			b.forget(p)
		}
	}
}
