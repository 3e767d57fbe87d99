package revocation

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
)

// A loginKey is the key of a login in List.entries. It has the names as they
// are, so that no hash has to be computed. For a token without a session, token
// is its name.
type loginKey struct{ issuer, subject, session, token string }

// An entry has the two records in which a token may be revoked.
type entry struct {
	own     *cachedRecord // of the login, or of a token without a session
	subject *cachedRecord // nil: the token has no subject
}

// fresh reports whether no record has to be read at the time now.
func (e *entry) fresh(now int64) bool {
	return now < e.own.freshUntil.Load() && (e.subject == nil || now < e.subject.freshUntil.Load())
}

// judge returns an error if t is revoked.
func (e *entry) judge(t *verify.Token) error {
	if e.subject != nil {
		if err := e.subject.judge(t); err != nil {
			return err
		}
	}
	return e.own.judge(t)
}

// before returns the latest cut-off for logins, in Unix nanoseconds; 0: none.
func (e *entry) before() int64 {
	before := e.own.before()
	if e.subject != nil {
		before = max(before, e.subject.before())
	}
	return before
}

// latest returns the latest cut-off, for logins or for tokens alone, in Unix
// nanoseconds; 0: none.
func (e *entry) latest() int64 {
	latest := e.own.latest()
	if e.subject != nil {
		latest = max(latest, e.subject.latest())
	}
	return latest
}

// exemptSince returns when t was issued, in Unix nanoseconds, if it is known to
// be later than its iat. Otherwise it returns 0.
func (e *entry) exemptSince(t *verify.Token) int64 {
	since := e.own.exemptSince(t)
	if e.subject != nil {
		since = max(since, e.subject.exemptSince(t))
	}
	return since
}

// A cachedRecord is what this process knows of one record of the Store.
type cachedRecord struct {
	key         string
	known       atomic.Pointer[record] // nil: nothing is known to be revoked
	freshUntil  atomic.Int64           // by List.now: then the next request reads it again
	usableUntil atomic.Int64           // by List.now: until then other requests do not wait for that

	mu      sync.Mutex
	running *lookup // nil: none
	next    *lookup // begins when running has ended
}

// A lookup is one Get of the Store. Its err is set before done is closed.
type lookup struct {
	done chan struct{}
	err  error
}

func (c *cachedRecord) judge(t *verify.Token) error {
	if r := c.known.Load(); r != nil {
		return r.judge(t)
	}
	return nil
}

func (c *cachedRecord) before() int64 {
	if r := c.known.Load(); r != nil {
		return r.Before
	}
	return 0
}

func (c *cachedRecord) latest() int64 {
	if r := c.known.Load(); r != nil {
		return max(r.Before, r.Stale)
	}
	return 0
}

func (c *cachedRecord) exemptSince(t *verify.Token) int64 {
	if r := c.known.Load(); r != nil {
		return r.exemptSince(t)
	}
	return 0
}

// learn adds r to what is known. It removes nothing: r may be older than what
// is known.
func (c *cachedRecord) learn(r record) {
	for {
		known := c.known.Load()
		if known == nil && r.Before == 0 && r.Stale == 0 && len(r.Tokens)+len(r.Exempt) == 0 {
			return
		}
		var sum record
		if known != nil {
			sum = *known
		}
		sum = sum.plus(r, time.Now())
		if c.known.CompareAndSwap(known, &sum) {
			return
		}
	}
}

// now returns the time since base in nanoseconds, by the monotonic clock.
func (l *List) now() int64 { return int64(time.Since(l.base)) }

// entry returns the entry of t, which all tokens of a login share.
func (l *List) entry(t *verify.Token) *entry {
	k := loginKey{t.Issuer, t.Subject, t.Session, ""}
	if t.Session == "" {
		if k.token = t.ID; k.token == "" {
			k.token = t.Raw
		}
	}
	if e, ok := l.entries.Get(k); ok {
		return e
	}
	e := l.newEntry(t)
	// The names may be substrings of a request's header, which would stay in
	// memory.
	k = loginKey{strings.Clone(k.issuer), strings.Clone(k.subject), strings.Clone(k.session), strings.Clone(k.token)}
	l.entries.Add(k, e)
	return e
}

func (l *List) newEntry(t *verify.Token) *entry {
	e := &entry{own: l.cached(ownKey(t))}
	if t.Subject != "" {
		e.subject = l.cached(storeKey("subject", t.Issuer, t.Subject))
	}
	return e
}

// cached returns the cachedRecord under key. There is one for each key.
func (l *List) cached(key string) *cachedRecord {
	c, ok := l.records.Get(key)
	if ok {
		return c
	}
	c = &cachedRecord{key: key}
	if other, ok, _ := l.records.PeekOrAdd(key, c); ok {
		return other
	}
	return c
}

// ask updates the records of e, if they are not fresh, and returns an error if
// t is revoked. Otherwise the error is that of the Store. With anew, it reads
// the Store after the call in any case.
func (l *List) ask(ctx context.Context, e *entry, t *verify.Token, now int64, anew bool) error {
	if err := e.judge(t); errors.Is(err, ErrLogin) {
		return err // no record ever takes that back
	}
	pending, failed := l.update(ctx, e.own, now, anew)
	if e.subject != nil && failed == nil && !(pending && now < e.subject.usableUntil.Load()) {
		_, failed = l.update(ctx, e.subject, now, anew)
	}
	if err := e.judge(t); err != nil {
		return err
	}
	return failed
}

// update updates c by a lookup, its own or one that it joins. If another lookup
// is running, and c is usable until it has ended, update does not wait for it,
// and returns true.
func (l *List) update(ctx context.Context, c *cachedRecord, now int64, anew bool) (pending bool, err error) {
	if !anew && now < c.freshUntil.Load() || now < l.backoffUntil.Load() {
		return false, nil
	}
	// The LRU may have evicted c, which an entry still uses. A revocation in
	// this process finds it by its key.
	if _, ok := l.records.Get(c.key); !ok {
		l.records.Add(c.key, c)
	}
	c.mu.Lock()
	switch {
	case c.running == nil:
		q := newLookup()
		c.running = q
		c.mu.Unlock()
		l.get(ctx, c, q)
		return false, q.err
	case !anew:
		q := c.running
		c.mu.Unlock()
		if now < c.usableUntil.Load() {
			return true, nil
		}
		return false, q.wait(ctx)
	case c.next == nil:
		// The running lookup may have read the Store before the call.
		before, q := c.running, newLookup()
		c.next = q
		c.mu.Unlock()
		<-before.done // a lookup is bounded by l.bound
		l.get(ctx, c, q)
		return false, q.err
	default:
		q := c.next
		c.mu.Unlock()
		return false, q.wait(ctx)
	}
}

func newLookup() *lookup { return &lookup{done: make(chan struct{})} }

// wait returns the error of q when it is done, or that of ctx.
func (q *lookup) wait(ctx context.Context) error {
	select {
	case <-q.done:
		return q.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// get performs the lookup q of c, for all that wait for it. So it goes on if
// ctx ends.
func (l *List) get(ctx context.Context, c *cachedRecord, q *lookup) {
	defer func() {
		if recover() != nil { // its value may have a secret
			q.err = errors.New("middleware: revocations: the store panicked")
		}
		if q.err != nil && !errors.Is(q.err, errUnreadable) {
			l.backoffUntil.Store(l.now() + int64(storeBackoff))
		}
		c.mu.Lock()
		c.running, c.next = c.next, nil
		c.mu.Unlock()
		close(q.done)
	}()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.bound)
	defer cancel()
	asked := l.now()
	data, err := l.store.Get(ctx, c.key)
	var r record
	if err == nil {
		r, err = decode(data)
	}
	if err != nil && !errors.Is(err, refresh.ErrNotFound) {
		q.err = fmt.Errorf("middleware: revocations: %w", err)
		return
	}
	c.learn(r)
	if l.cacheFor > 0 {
		c.usableUntil.Store(asked + int64(l.cacheFor))
		c.freshUntil.Store(asked + int64(max(l.cacheFor-l.bound, l.cacheFor/2)))
	}
}
