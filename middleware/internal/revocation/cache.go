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

// A seenKey is how a login is found without computing a hash: by the names as
// they stand. Token is set for tokens of no login.
type seenKey struct{ issuer, subject, session, token string }

// A seen is the two places in which a token may be revoked.
type seen struct {
	home    *cell // of the login, or of the token
	subject *cell // nil where the token names none
}

func (s *seen) fresh(now int64) bool {
	return now < s.home.good.Load() && (s.subject == nil || now < s.subject.good.Load())
}

func (s *seen) judge(t *verify.Token) error {
	if s.subject != nil {
		if err := s.subject.judge(t); err != nil {
			return err
		}
	}
	return s.home.judge(t)
}

// before is the latest cut-off, in Unix nanoseconds.
func (s *seen) before() int64 {
	before := s.home.before()
	if s.subject != nil {
		before = max(before, s.subject.before())
	}
	return before
}

// latest is the latest time before which tokens are revoked, in Unix nanoseconds.
func (s *seen) latest() int64 {
	latest := s.home.latest()
	if s.subject != nil {
		latest = max(latest, s.subject.latest())
	}
	return latest
}

// spared is when t was issued, where that is later than its iat says; else 0.
func (s *seen) spared(t *verify.Token) int64 {
	spared := s.home.spared(t)
	if s.subject != nil {
		spared = max(spared, s.subject.spared(t))
	}
	return spared
}

// A cell is what is known here of one record of the Store.
type cell struct {
	key    string
	known  atomic.Pointer[record] // nil: nothing is revoked, as far as is known
	good   atomic.Int64           // until when it need not be asked again; see List.now
	usable atomic.Int64           // until when others need not wait for who asks

	mu      sync.Mutex
	running *question
	next    *question // begins when running has ended
}

// A question is one Get. Its err is set before done is closed.
type question struct {
	done chan struct{}
	err  error
}

func (c *cell) judge(t *verify.Token) error {
	if r := c.known.Load(); r != nil {
		return r.judge(t)
	}
	return nil
}

func (c *cell) before() int64 {
	if r := c.known.Load(); r != nil {
		return r.Before
	}
	return 0
}

func (c *cell) latest() int64 {
	if r := c.known.Load(); r != nil {
		return max(r.Before, r.Stale)
	}
	return 0
}

func (c *cell) spared(t *verify.Token) int64 {
	if r := c.known.Load(); r != nil {
		return r.spared(t)
	}
	return 0
}

// learn adds r to what is known: nothing that is revoked becomes good again by
// an answer that was under way.
func (c *cell) learn(r record) {
	for {
		known := c.known.Load()
		if known == nil && r.Before == 0 && r.Stale == 0 && len(r.Tokens)+len(r.Spared) == 0 {
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

// now counts from base, which a clock that is set cannot change.
func (l *List) now() int64 { return int64(time.Since(l.base)) }

// look returns where t may be revoked.
func (l *List) look(t *verify.Token) *seen {
	k := seenKey{t.Issuer, t.Subject, t.Session, ""}
	if t.Session == "" {
		if k.token = t.ID; k.token == "" {
			k.token = t.Raw
		}
	}
	if s, ok := l.seen.Get(k); ok {
		return s
	}
	s := l.find(t)
	// The names may be pieces of a request's whole header.
	k = seenKey{strings.Clone(k.issuer), strings.Clone(k.subject), strings.Clone(k.session), strings.Clone(k.token)}
	l.seen.Add(k, s)
	return s
}

func (l *List) find(t *verify.Token) *seen {
	s := &seen{home: l.cell(homeOf(t))}
	if t.Subject != "" {
		s.subject = l.cell(keyFor("subject", t.Issuer, t.Subject))
	}
	return s
}

// cell returns the cell of a key, which all who know the key share.
func (l *List) cell(key string) *cell {
	c, ok := l.cells.Get(key)
	if ok {
		return c
	}
	c = &cell{key: key}
	if other, ok, _ := l.cells.PeekOrAdd(key, c); ok {
		return other
	}
	return c
}

// ask brings what s knows up to date and judges t by it. With anew, the answers
// of the Store are no older than the call.
func (l *List) ask(ctx context.Context, s *seen, t *verify.Token, now int64, anew bool) error {
	if err := s.judge(t); errors.Is(err, ErrLogin) {
		return err // it stays so
	}
	asking, failed := l.askCell(ctx, s.home, now, anew)
	if s.subject != nil && failed == nil && !(asking && now < s.subject.usable.Load()) {
		_, failed = l.askCell(ctx, s.subject, now, anew)
	}
	if err := s.judge(t); err != nil {
		return err
	}
	return failed
}

// askCell brings what c knows up to date. It reports true if somebody else is
// about to, and what is known serves until then.
func (l *List) askCell(ctx context.Context, c *cell, now int64, anew bool) (asking bool, err error) {
	if !anew && now < c.good.Load() || now < l.quiet.Load() {
		return false, nil
	}
	// A login in use stays where what is revoked in this process finds it.
	if _, ok := l.cells.Get(c.key); !ok {
		l.cells.Add(c.key, c)
	}
	c.mu.Lock()
	switch {
	case c.running == nil:
		q := newQuestion()
		c.running = q
		c.mu.Unlock()
		l.get(ctx, c, q)
		return false, q.err
	case !anew:
		q := c.running
		c.mu.Unlock()
		if now < c.usable.Load() {
			return true, nil
		}
		return false, q.wait(ctx)
	case c.next == nil:
		// The one that is running may have been answered before the call.
		before, q := c.running, newQuestion()
		c.next = q
		c.mu.Unlock()
		<-before.done // within the bound of a question
		l.get(ctx, c, q)
		return false, q.err
	default:
		q := c.next
		c.mu.Unlock()
		return false, q.wait(ctx)
	}
}

func newQuestion() *question { return &question{done: make(chan struct{})} }

func (q *question) wait(ctx context.Context) error {
	select {
	case <-q.done:
		return q.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// get asks the Store, for all who wait and whatever becomes of the one whose
// request this is.
func (l *List) get(ctx context.Context, c *cell, q *question) {
	defer func() {
		if recover() != nil { // its value may hold anything
			q.err = errors.New("middleware: revocations: the store panicked")
		}
		if q.err != nil && !errors.Is(q.err, errUnreadable) {
			l.quiet.Store(l.now() + int64(storePause))
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
		c.usable.Store(asked + int64(l.cacheFor))
		c.good.Store(asked + int64(max(l.cacheFor-l.bound, l.cacheFor/2)))
	}
}
