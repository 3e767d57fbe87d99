package sessions

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/event"
)

// Revoke implements [refresh.Revoker]: it ends the login that t's refresh
// handle belongs to, whether or not that is the current one, and tells the
// provider if the Refresher is a Revoker. An error of the Store says that the
// login may go on; one of the provider, that it is over here and may go on
// there.
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
	// Time has nothing to do with it: a handle that is no longer good still
	// tells where the login's tokens are.
	current, ok := at.follow(h, time.Time{})
	if !ok {
		return nil
	}
	kept, err := at.tokens(current)
	if err != nil || kept.Refresh == "" {
		return err
	}
	return s.revoke(ctx, kept)
}

// revoke revokes tokens at the provider, where it can.
func (s *Sessions) revoke(ctx context.Context, t refresh.Tokens) (err error) {
	r, ok := s.Refresher.(refresh.Revoker)
	if !ok || t.Refresh == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	defer func() {
		if recover() != nil {
			err = errPanic // its value may hold a token
		}
	}()
	if err := r.Revoke(ctx, t); err != nil {
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
	if r, ok := s.flights.unwritten.Get(h); ok {
		s.flights.unwritten.Remove(h)
		_ = s.revoke(ctx, r.tokens)
	}
	err := s.revokeAt(ctx, at, h)
	if err != nil && !errors.Is(err, refresh.ErrNoRevocation) {
		return err
	}
	l := at.login
	l.Hash, l.Sealed, l.Before, l.Access = nil, nil, nil, nil
	if raw, encoding := l.encode(); encoding == nil {
		// If this fails, it is revoked once more: that does no harm.
		_, _ = s.put(ctx, loginKey(at.name), at.raw, raw, s.tombstone(at, time.Now()))
	}
	return err
}

// finish ends a login that is meant, for everybody. It returns the login, and
// nil where there is none with this name that is meant and has not been ended
// before. The tokens stay in it, sealed, where somebody may yet come with a
// handle to revoke them.
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

// verdict says why a login that was ended is over. After a sign-out, requests
// may be under way whose browser holds another login by now.
func (s *Sessions) verdict(at *stored, now time.Time) error {
	if (at.Why == whySignedOut || at.Why == whyReplaced) && now.Sub(time.UnixMilli(at.Over)) < s.grace {
		return fmt.Errorf("sessions: %w", refresh.ErrEnded)
	}
	return fmt.Errorf("sessions: %w: it was %s", refresh.ErrDenied, at.Why)
}

// reused ends a login because of a handle that is no longer good. The next
// attempt finds it ended.
func (s *Sessions) reused(ctx context.Context, name string, h handle) error {
	over, err := s.finish(ctx, name, whyReused, func(at *stored) bool {
		_, ok := at.follow(h, time.Now())
		return !ok
	})
	if over != nil {
		s.observe(ctx, event.HandleReused, over)
	}
	return err
}
