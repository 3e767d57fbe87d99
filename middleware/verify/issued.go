package verify

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// VerifyIssued is [JWT.Verify] for a token that its issuer has given to this
// service itself, before the given time, as at a refresh. If the token is
// refused by the keys that are known, they are fetched again, within the
// Cooldown. The error wraps [ErrInvalid] only if the token is refused by keys
// that have been fetched since then: later ones will not make it good.
func (j *JWT) VerifyIssued(ctx context.Context, raw string, before time.Time) (*Token, error) {
	t, err := j.Verify(ctx, raw)
	if !errors.Is(err, ErrInvalid) {
		return t, err
	}
	var c struct {
		Issuer string `json:"iss"`
	}
	if UnverifiedClaims(raw, &c) != nil {
		return nil, err // no key will make a JWT of it
	}
	issuer, unknownIssuer := j.active(ctx, []byte(c.Issuer))
	switch {
	case errors.Is(unknownIssuer, ErrInvalid), unknownIssuer == nil && issuer == nil:
		return nil, err
	case unknownIssuer != nil:
		return nil, fmt.Errorf("verify: issuer: %w", unknownIssuer)
	}
	if !issuer.keys.fetchedSince(ctx, before) {
		return nil, fmt.Errorf("verify: keys of %s: not fetched since a token was issued that the present ones refuse", issuer.keys.issuer)
	}
	return j.Verify(ctx, raw)
}

// fetchedSince reports whether the keys are those of a fetch that began at a
// time or later. If they are not, it fetches them, once per cool-down.
func (s *keySet) fetchedSince(ctx context.Context, since time.Time) bool {
	least, at := since.Sub(s.base), time.Since(s.base)
	newer := func() bool {
		have := s.current.Load()
		return have != nil && have.loaded >= least
	}
	s.mu.Lock()
	if newer() || s.closed {
		s.mu.Unlock()
		return newer()
	}
	if s.flight == nil && at >= s.started+s.kidGap {
		s.start(at)
	}
	s.schedule()
	f := s.flight
	wait := f != nil && s.started >= least && f.join()
	s.mu.Unlock()
	return wait && f.wait(ctx, 0) == nil && newer()
}
