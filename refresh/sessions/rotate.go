package sessions

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
)

// tries bounds how often something is done anew because another came first.
const tries = 16

// errBusy is temporary.
var errBusy = errors.New("sessions: the login is being changed by others")

// Refresh implements [refresh.Refresher]. An error of the Store or of the
// provider leaves the login as it is; the same handle gets its successor later,
// whether or not it was made.
func (s *Sessions) Refresh(ctx context.Context, old refresh.Tokens) (refresh.Tokens, error) {
	if err := s.ready(); err != nil {
		return refresh.Tokens{}, err
	}
	h, ok := parseHandle(old.Refresh)
	if !ok {
		return refresh.Tokens{}, fmt.Errorf("sessions: %w: this is no handle", refresh.ErrDenied)
	}
	r := &renewal{h: h}
	for range tries {
		at, err := s.find(ctx, h.name())
		if err != nil {
			return refresh.Tokens{}, err
		}
		if t, done, err := s.renew(ctx, at, r); done || err != nil {
			return t, err
		}
	}
	return refresh.Tokens{}, errBusy
}

// A renewal is one call of Refresh. What the provider has given is good for all
// its attempts: while h is current, the tokens in the record are the same.
type renewal struct {
	h    handle
	next refresh.Tokens // Access is empty: not yet
}

// renew makes one attempt. It is not done where somebody else has changed the
// login meanwhile.
func (s *Sessions) renew(ctx context.Context, at *stored, r *renewal) (t refresh.Tokens, done bool, err error) {
	h, now := r.h, time.Now()
	switch {
	case at == nil:
		return t, true, fmt.Errorf("sessions: %w: there is no such login", refresh.ErrDenied)
	case at.Over != 0:
		_ = s.revokeLate(ctx, at, h)
		return t, true, s.verdict(at, now)
	case !at.alive(now):
		_ = s.revokeAt(ctx, at, h)
		return t, true, fmt.Errorf("sessions: %w: its time has passed", refresh.ErrDenied)
	}
	switch current, ok := at.follow(h, now); {
	case !ok:
		return t, false, s.reused(ctx, at.name, h)
	case current == h:
		return s.advance(ctx, at, r)
	default:
		kept, err := at.tokens(current)
		if err != nil {
			return t, true, err
		}
		return s.client(&at.login, current, kept), true, nil
	}
}

// verdict says why a login that was ended is over. After a sign-out, requests
// may be under way whose browser holds another login by now.
func (s *Sessions) verdict(at *stored, now time.Time) error {
	if (at.Why == whySignedOut || at.Why == whyReplaced) && now.Sub(time.UnixMilli(at.Over)) < s.grace {
		return fmt.Errorf("sessions: %w", refresh.ErrEnded)
	}
	return fmt.Errorf("sessions: %w: it was %s", refresh.ErrDenied, at.Why)
}

// advance exchanges the tokens of a login whose current handle is presented, and
// replaces the handle.
//
// A crash between the two loses nothing: the Coordinator has put the provider's
// answer into the Store, sealed under the refresh token that this record still
// holds. Of replicas that come here at once, all get that one answer.
func (s *Sessions) advance(ctx context.Context, at *stored, r *renewal) (t refresh.Tokens, done bool, err error) {
	kept, err := at.tokens(r.h)
	if err != nil {
		return t, true, err
	}
	if r.next.Access == "" {
		r.next, err = s.exchange(ctx, kept)
	}
	switch {
	case errors.Is(err, refresh.ErrDenied):
		// It counts where nobody has got further meanwhile.
		over, endErr := s.finish(ctx, at.name, whyDenied, func(now *stored) bool { return bytes.Equal(now.raw, at.raw) })
		switch {
		case over != nil:
			s.observe(ctx, Denied, over)
		case endErr == nil:
			return t, false, nil
		}
		return t, true, fmt.Errorf("sessions: %w", err)
	case err != nil:
		_ = s.noteArrival(ctx, at) // the handle that waits for it lives longer
		return t, true, fmt.Errorf("sessions: %w", err)
	}
	ends, now := s.ends.Load(), time.Now()
	successor := newHandle(r.h.id())
	l := at.login
	if err := l.succeed(at.name, r.h, successor, now, s.grace, s.keep); err != nil {
		return t, true, err
	}
	s.use(&l, r.next, now)
	if err := l.take(at.name, successor, r.next); err != nil {
		return t, true, err
	}
	raw, err := l.encode()
	if err != nil {
		return t, true, err
	}
	if done, err := s.put(ctx, loginKey(at.name), at.raw, raw, l.left(now)); !done || err != nil {
		return t, false, err
	}
	s.remembers(at.name, slot{successor.access(), r.next.Access}, time.Since(s.begin), ends)
	s.expectArrival(ctx, at.name, &l, r.next.Access)
	return s.client(&l, successor, r.next), true, nil
}

// exchange asks the provider for new tokens. Where there is no refresh token,
// none can be lost or used twice.
func (s *Sessions) exchange(ctx context.Context, kept refresh.Tokens) (refresh.Tokens, error) {
	if kept.Refresh != "" {
		return s.provider.Refresh(asking(ctx), kept)
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	next, err := s.Refresher.Refresh(ctx, kept)
	if err != nil {
		return refresh.Tokens{}, err
	}
	if next.Access == "" {
		return refresh.Tokens{}, errors.New("the Refresher returned no access token")
	}
	if next.ID == "" {
		next.ID = kept.ID
	}
	return next, nil
}

// reused ends a login because of a handle that is no longer good. The next
// attempt finds it ended.
func (s *Sessions) reused(ctx context.Context, name string, h handle) error {
	over, err := s.finish(ctx, name, whyReused, func(at *stored) bool {
		_, ok := at.follow(h, time.Now())
		return !ok
	})
	if over != nil {
		s.observe(ctx, Reused, over)
	}
	return err
}

// Revoke implements [refresh.Revoker]: it ends the login that t's refresh handle
// belongs to, whether or not that is the current one, and tells the provider if
// the Refresher is a Revoker. An error of the Store says that the login may go
// on; one of the provider, that it is over here and may go on there.
func (s *Sessions) Revoke(ctx context.Context, t refresh.Tokens) error {
	if err := s.ready(); err != nil {
		return err
	}
	h, ok := parseHandle(t.Refresh)
	if !ok {
		return nil
	}
	if _, err := s.finish(ctx, h.name(), whySignedOut, func(*stored) bool { return true }); err != nil {
		return err
	}
	// It is over now, by this or by somebody else.
	at, err := s.find(ctx, h.name())
	if at == nil || err != nil {
		return err
	}
	return s.revokeLate(ctx, at, h)
}

// Replaced implements [refresh.Replacer]: it ends the login that t's refresh
// handle belongs to, and forgets the provider's tokens without revoking them.
func (s *Sessions) Replaced(ctx context.Context, t refresh.Tokens) error {
	if err := s.ready(); err != nil {
		return err
	}
	h, ok := parseHandle(t.Refresh)
	if !ok {
		return nil
	}
	_, err := s.finish(ctx, h.name(), whyReplaced, func(*stored) bool { return true })
	return err
}

// revokeAt revokes a login at the provider if h opens its tokens.
func (s *Sessions) revokeAt(ctx context.Context, at *stored, h handle) error {
	if _, ok := s.Refresher.(refresh.Revoker); !ok || at.Sealed == nil {
		return nil
	}
	// Time has nothing to do with it: a handle that is no longer good still tells
	// where the login's tokens are.
	current, ok := at.follow(h, time.Time{})
	if !ok {
		return nil
	}
	kept, err := at.tokens(current)
	if err != nil || kept.Refresh == "" {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	if err := s.provider.Revoke(ctx, kept); err != nil {
		return fmt.Errorf("sessions: revoking at the provider: %w", err)
	}
	return nil
}

// revokeLate revokes a login at the provider that was ended without a handle,
// and so without the tokens, once somebody comes with one.
func (s *Sessions) revokeLate(ctx context.Context, at *stored, h handle) error {
	if at.Sealed == nil {
		return nil
	}
	if _, ok := at.follow(h, time.Time{}); !ok {
		return nil
	}
	if err := s.revokeAt(ctx, at, h); err != nil {
		return err
	}
	l := at.login
	l.Hash, l.Sealed, l.Before, l.Access = nil, nil, nil, nil
	if raw, err := l.encode(); err == nil {
		// If this fails, it is revoked once more: that does no harm.
		_, _ = s.put(ctx, loginKey(at.name), at.raw, raw, s.tombstone(at, time.Now()))
	}
	return nil
}

// finish ends a login that is meant, for everybody. It returns the login, and nil
// where there is none with this name that is meant and has not been ended before.
// The tokens stay in it, sealed, where somebody may yet come with a handle to
// revoke them.
func (s *Sessions) finish(ctx context.Context, name, why string, meant func(*stored) bool) (over *stored, err error) {
	err = refresh.Update(ctx, s.store, loginKey(name), func(old []byte) ([]byte, time.Duration, error) {
		if over = nil; old == nil {
			return nil, 0, nil
		}
		at, err := decode(name, old)
		if err != nil {
			return nil, 0, err
		}
		if at.Over != 0 || !meant(at) {
			return old, 0, nil
		}
		now := time.Now()
		l := at.login
		l.Over, l.Why, l.Access = now.UnixMilli(), why, nil
		if _, ok := s.Refresher.(refresh.Revoker); !ok || why == whyDenied || why == whyReplaced {
			l.Hash, l.Sealed, l.Before = nil, nil, nil
		} else {
			l.Access = at.Access[:min(1, len(at.Access))] // some providers want it for that
		}
		raw, err := l.encode()
		over = at
		return raw, s.tombstone(at, now), err
	})
	if over == nil || err != nil {
		return nil, err
	}
	s.forget(name)
	s.delist(ctx, over)
	return over, nil
}

// tombstone is how long the record of an ended login stays.
func (s *Sessions) tombstone(at *stored, now time.Time) time.Duration {
	return min(at.left(now), s.keep)
}
