package sessions

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/event"
)

// These are temporary.
var (
	errBusy   = errors.New("sessions: too many refreshes under way, or too many changes of one login")
	errClosed = errors.New("sessions: the Sessions are closed")
	errWaited = errors.New("the time for it has passed")
	errPanic  = errors.New("sessions: the Refresher panicked")
)

// tries bounds how often a refresh starts anew because another came first.
const tries = 64

// Refresh implements [refresh.Refresher]. An error of the Store or of the
// provider leaves the login as it is; the same handle gets its successor later,
// whether or not it was made. Callers with one handle share one call.
//
// It waits for Timeout at most, and less if ctx ends. What it has begun goes
// on.
func (s *Sessions) Refresh(ctx context.Context, old refresh.Tokens) (refresh.Tokens, error) {
	if err := s.ready(); err != nil {
		return refresh.Tokens{}, err
	}
	h, ok := parseHandle(old.Refresh)
	if !ok {
		return refresh.Tokens{}, fmt.Errorf("sessions: %w: this is no handle", refresh.ErrDenied)
	}
	if ctx.Err() != nil {
		return refresh.Tokens{}, fmt.Errorf("sessions: %w", context.Cause(ctx))
	}
	f, err := s.join(context.WithoutCancel(ctx), h, nil)
	if err != nil {
		return refresh.Tokens{}, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, errWaited)
	defer cancel()
	select {
	case <-f.done:
		return f.tokens, f.err
	case <-ctx.Done():
	}
	err = context.Cause(ctx)
	if trouble := f.trouble.Load(); trouble != nil {
		err = fmt.Errorf("%w: %w", err, *trouble)
	}
	return refresh.Tokens{}, fmt.Errorf("sessions: stopped waiting for the provider: %w", err)
}

// renew returns the tokens that follow h: those that are there, or new ones of
// the provider.
func (s *Sessions) renew(ctx context.Context, h handle, f *flight) (t refresh.Tokens, err error) {
	waiting, cancel := context.WithTimeoutCause(ctx, 2*s.timeout, errWaited)
	defer cancel()
	defer s.release(ctx, f)
	f.ends = s.ends.Load()
	at := s.recentHandle(h)
	for range tries {
		if at == nil {
			f.ends = s.ends.Load()
			if at, err = s.find(waiting, h.name()); err != nil {
				return t, err
			}
		}
		now := time.Now()
		switch {
		case at == nil:
			return t, fmt.Errorf("sessions: %w: there is no such login", refresh.ErrDenied)
		case at.Over != 0:
			_ = s.revokeLate(ctx, at, h)
			return t, s.verdict(at, now)
		case !at.alive(now):
			_ = s.revokeAt(ctx, at, h)
			return t, fmt.Errorf("sessions: %w: its time has passed", refresh.ErrDenied)
		}
		current, ok := at.follow(h, now)
		if !ok {
			// The next look finds it ended.
			if err := s.reused(ctx, at.name, h); err != nil {
				return t, err
			}
			at = nil
			continue
		}
		kept, err := at.tokens(current)
		switch {
		case err != nil:
			return t, err
		case current != h:
			return s.client(&at.login, current, kept), nil
		}
		if r, ok := s.flights.unwritten.Get(h); ok {
			t, done, err := s.settle(ctx, at, h, r.tokens, f)
			if done || err != nil {
				return t, err
			}
			at = nil
			continue
		}
		if kept.Refresh != "" { // else nothing can be lost or used twice
			held, err := s.hold(waiting, f, at)
			if err != nil {
				return t, err
			}
			if !held {
				if at, err = s.await(waiting, f, at); err != nil {
					return t, err
				}
				continue
			}
		}
		t, done, err := s.advance(ctx, waiting, at, h, kept, f)
		if done || err != nil {
			return t, err
		}
		at = nil
	}
	return t, errBusy
}

// advance exchanges the tokens of a login whose current handle is presented and
// claimed, and replaces the handle. It is not done where somebody else has
// changed the login meanwhile.
func (s *Sessions) advance(ctx, waiting context.Context, at *stored, h handle, kept refresh.Tokens, f *flight) (t refresh.Tokens, done bool, err error) {
	at, next, asked, err := s.exchange(ctx, waiting, at, kept, f)
	if !asked {
		return t, false, err
	}
	switch {
	case err == nil || next.Refresh != "":
		f.claim = nil // it holds back those who have read the record before this
		t, done, failed := s.settle(ctx, at, h, next, f)
		return t, done, errors.Join(err, failed)
	case errors.Is(err, refresh.ErrDenied):
		// It counts where nobody else asks by now, or has got further.
		if !s.undisputed(ctx, f) {
			f.claim = nil
			return t, false, nil
		}
		over, endErr := s.finish(ctx, at.name, whyDenied, func(now *stored) bool { return same(now.Hash, at.Hash) })
		switch {
		case over != nil:
			s.observe(ctx, event.LoginDenied, over)
		case endErr == nil:
			return t, false, nil
		}
	default:
		_ = s.noteArrival(ctx, at) // the handle that waits for it lives longer
	}
	return t, true, fmt.Errorf("sessions: %w", err)
}

// exchange asks the provider with the tokens of a login, one of maxAtOnce. It
// returns the login as it was then. It has not asked where somebody else has
// changed the login, or has claimed it.
func (s *Sessions) exchange(ctx, waiting context.Context, at *stored, kept refresh.Tokens, f *flight) (now *stored, next refresh.Tokens, asked bool, err error) {
	select {
	case s.flights.slots <- struct{}{}:
		defer func() { <-s.flights.slots }()
	case <-waiting.Done():
		return nil, next, false, errBusy
	}
	if kept.Refresh == "" {
		next, err = s.ask(ctx, kept, s.timeout)
		return at, next, true, err
	}
	if at, err = s.confirm(ctx, f, at); at == nil || err != nil {
		return nil, next, false, err
	}
	next, err = s.askUnderClaim(ctx, f.claim, kept)
	return at, next, true, err
}

// ask calls the Refresher and completes what it returns.
func (s *Sessions) ask(ctx context.Context, kept refresh.Tokens, timeout time.Duration) (next refresh.Tokens, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	defer func() {
		if recover() != nil {
			err = errPanic // its value may hold a token
		}
	}()
	next, err = s.Refresher.Refresh(ctx, kept)
	switch {
	case err != nil && (next.Refresh == "" || next.Refresh == kept.Refresh || errors.Is(err, refresh.ErrDenied)):
		return refresh.Tokens{}, err
	case next.Access == "":
		return refresh.Tokens{}, errors.New("the Refresher returned no access token")
	}
	if next.Refresh == "" {
		next.Refresh, next.RefreshExpiry = kept.Refresh, kept.RefreshExpiry
	}
	if next.ID == "" {
		next.ID = kept.ID
	}
	return next, err
}

// settle puts what the provider gave for the tokens under h into the login,
// with a new handle. It is not done where there is a newer handle, or the login
// is over. A Store that fails is tried again for three times Timeout. Then this
// process keeps the tokens, and another flight tries on.
func (s *Sessions) settle(ctx context.Context, at *stored, h handle, next refresh.Tokens, f *flight) (t refresh.Tokens, done bool, err error) {
	insisting, cancel := context.WithTimeout(ctx, 3*s.timeout)
	defer cancel()
	successor := newHandle(h.id())
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 250*time.Millisecond) {
		f.ends = s.ends.Load()
		now, final, err := s.succeed(ctx, at, h, successor, next)
		switch {
		case err == nil && now == nil:
			s.flights.unwritten.Remove(h)
			return t, false, nil
		case err == nil:
			s.flights.unwritten.Remove(h)
			s.cache(now.name, slot{successor.access(), next.Access}, time.Since(s.begin), f.ends)
			s.recent.Add(now.name, now)
			s.expectArrival(ctx, now.name, &now.login, next.Access)
			return s.client(&now.login, successor, next), true, nil
		}
		f.trouble.Store(&err)
		if !final {
			select {
			case <-time.After(pause):
				continue
			case <-insisting.Done():
			}
		}
		if next.Refresh != "" {
			s.flights.keep(h, next, final)
		}
		return t, true, err
	}
}

// succeed makes one attempt of settle. It returns the login with its new
// handle, or nil where that is not wanted any more. The error is final where it
// does not come of the Store.
func (s *Sessions) succeed(ctx context.Context, at *stored, h, successor handle, next refresh.Tokens) (made *stored, final bool, err error) {
	known := &firstRead{Store: s.store, raw: at.raw}
	over := ""
	err = refresh.Update(ctx, known, loginKey(at.name), func(old []byte) ([]byte, time.Duration, error) {
		made, over, final = nil, "", true
		if old == nil {
			return nil, 0, nil
		}
		if !bytes.Equal(old, at.raw) { // else h is its current handle
			now, err := decode(at.name, old)
			switch {
			case err != nil:
				return nil, 0, err
			case now.Over != 0:
				over = now.Why
				return old, 0, nil
			case !same(now.Hash, hash(string(h))):
				return old, 0, nil // by an earlier attempt, or by somebody else
			}
			at = now
		}
		l, now := at.login, time.Now()
		if err := l.succeed(at.name, h, successor, now, s.grace, s.keep); err != nil {
			return nil, 0, err
		}
		s.use(&l, next, now)
		if err := l.setTokens(at.name, successor, next); err != nil {
			return nil, 0, err
		}
		raw, err := l.encode()
		if err != nil {
			return nil, 0, err
		}
		made, final = &stored{l, at.name, raw, now}, false
		return raw, l.left(now), nil
	})
	if over != "" && over != whyReplaced {
		_ = s.revoke(ctx, next) // what came after the end is not left lying about
	}
	return made, final, err
}
