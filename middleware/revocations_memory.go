package middleware

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
	good   atomic.Int64           // until when it need not be asked again; see Revocations.now
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
func (v *Revocations) now() int64 { return int64(time.Since(v.base)) }

// look returns where t may be revoked.
func (v *Revocations) look(t *verify.Token) *seen {
	v.init()
	k := seenKey{t.Issuer, t.Subject, t.Session, ""}
	if t.Session == "" {
		if k.token = t.ID; k.token == "" {
			k.token = t.Raw
		}
	}
	if s, ok := v.seen.Get(k); ok {
		return s
	}
	s := v.find(t)
	// The names may be pieces of a request's whole header.
	k = seenKey{strings.Clone(k.issuer), strings.Clone(k.subject), strings.Clone(k.session), strings.Clone(k.token)}
	v.seen.Add(k, s)
	return s
}

func (v *Revocations) find(t *verify.Token) *seen {
	s := &seen{home: v.cell(homeOf(t))}
	if t.Subject != "" {
		s.subject = v.cell(keyFor("subject", t.Issuer, t.Subject))
	}
	return s
}

// cell returns the cell of a key, which all who know the key share.
func (v *Revocations) cell(key string) *cell {
	c, ok := v.cells.Get(key)
	if ok {
		return c
	}
	c = &cell{key: key}
	if other, ok, _ := v.cells.PeekOrAdd(key, c); ok {
		return other
	}
	return c
}

// ask brings what s knows up to date and judges t by it. With anew, the answers
// of the Store are no older than the call.
func (v *Revocations) ask(ctx context.Context, s *seen, t *verify.Token, now int64, anew bool) error {
	if err := s.judge(t); errors.Is(err, errLoginRevoked) {
		return err // it stays so
	}
	asking, failed := v.askCell(ctx, s.home, now, anew)
	if s.subject != nil && failed == nil && !(asking && now < s.subject.usable.Load()) {
		_, failed = v.askCell(ctx, s.subject, now, anew)
	}
	if err := s.judge(t); err != nil {
		return err
	}
	return failed
}

// askCell brings what c knows up to date. It reports true if somebody else is
// about to, and what is known serves until then.
func (v *Revocations) askCell(ctx context.Context, c *cell, now int64, anew bool) (asking bool, err error) {
	if !anew && now < c.good.Load() || now < v.quiet.Load() {
		return false, nil
	}
	// A login in use stays where what is revoked in this process finds it.
	if _, ok := v.cells.Get(c.key); !ok {
		v.cells.Add(c.key, c)
	}
	c.mu.Lock()
	switch {
	case c.running == nil:
		q := newQuestion()
		c.running = q
		c.mu.Unlock()
		v.get(ctx, c, q)
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
		v.get(ctx, c, q)
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
func (v *Revocations) get(ctx context.Context, c *cell, q *question) {
	defer func() {
		if recover() != nil { // its value may hold anything
			q.err = errors.New("middleware: revocations: the store panicked")
		}
		if q.err != nil && !errors.Is(q.err, errUnreadable) {
			v.quiet.Store(v.now() + int64(storePause))
		}
		c.mu.Lock()
		c.running, c.next = c.next, nil
		c.mu.Unlock()
		close(q.done)
	}()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), v.bound)
	defer cancel()
	asked := v.now()
	data, err := v.store.Get(ctx, c.key)
	var r record
	if err == nil {
		r, err = decode(data)
	}
	if err != nil && !errors.Is(err, refresh.ErrNotFound) {
		q.err = fmt.Errorf("middleware: revocations: %w", err)
		return
	}
	c.learn(r)
	if v.remember > 0 {
		c.usable.Store(asked + int64(v.remember))
		c.good.Store(asked + int64(max(v.remember-v.bound, v.remember/2)))
	}
}
