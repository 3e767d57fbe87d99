package verify

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// verify verifies a token that is not in the cache.
//
// The order is: the form of the token, its header and claims, its key, its
// signature, the issuer's Check. Before the signature is checked, the content
// of the token is only used to refuse it and to find its key.
func (j *JWT) verify(ctx context.Context, raw string, now time.Time, t *Token) error {
	p, ok := split(raw)
	if !ok {
		return errNoJWT
	}
	b := buffers.Get().(*buffer)
	defer buffers.Put(b)
	var h header
	if b.header, ok = decodeSegment(b.header, p.header); !ok {
		return refusal("header is not base64url")
	}
	if err := h.parse(b.header); err != nil {
		return err
	}
	if b.payload, ok = decodeSegment(b.payload, p.payload); !ok {
		return refusal("payload is not base64url")
	}
	if j.single != nil && j.single.isUnknownKid(&h, b.payload, now) {
		return errUnknownKey
	}
	var c claims
	if err := c.parse(b.payload); err != nil {
		return err
	}
	if b.signature, ok = decodeSegment(b.signature, p.signature); !ok {
		return refusal("signature is not base64url")
	}

	issuer, r, keys, err := j.decide(ctx, &h, &c, now)
	if r != nil {
		c.findGroups(b.payload, r.GroupsClaim)
	}
	switch {
	case errors.Is(err, ErrExpired):
		m := c.cached(nil, newShared(r, &c))
		m.token(raw, t)
		if err := r.check(t); err != nil {
			return err
		}
		return ErrExpired
	case err != nil:
		return err
	}
	k, err := h.signedBy(keys, p.signed, b.signature)
	if err != nil {
		return err
	}
	m := c.cached(k, j.cache.share(r, &c))
	m.token(raw, t)
	if err := r.check(t); err != nil {
		return err
	}
	j.prove(issuer)
	j.cache.add(raw, p.header, m)
	return nil
}

// decide finds the issuer, checks the header and the claims against its rules,
// and finds the keys that the token can mean.
func (j *JWT) decide(ctx context.Context, h *header, c *claims, now time.Time) (*activeIssuer, *rules, []*key, error) {
	for again := false; ; again = true {
		t, err := j.active(ctx, c.iss)
		switch {
		case errors.Is(err, ErrInvalid):
			return nil, nil, nil, fmt.Errorf("%w: Lookup: %w", otherIssuer(c.iss), err)
		case err != nil:
			return nil, nil, nil, fmt.Errorf("verify: issuer: %w", err)
		case t == nil:
			return nil, nil, nil, otherIssuer(c.iss, j.names...)
		}
		r := t.rules.Load()
		if err := r.judge(h, c, now); err != nil {
			return t, r, nil, err
		}
		keys, err := t.keys.find(ctx, now, h)
		if !again && (errors.Is(err, errClosed) || t.rules.Load() != r) {
			// The set has just been evicted from the LRU, so it is looked up
			// again; or Lookup has given new rules meanwhile.
			continue
		}
		switch {
		case err != nil:
			return t, r, nil, unknown(t.keys.issuer, err)
		case keys == nil:
			return t, r, nil, h.unknownKey()
		}
		return t, r, keys, nil
	}
}

// isUnknownKid reports whether a token is to be refused for the key ID in its
// header, before its claims are parsed: the keys are fresh, have no such ID,
// and were fetched too recently to be fetched again for it. It reports false
// for a token that may be expired, as its key may have been removed since.
func (t *activeIssuer) isUnknownKid(h *header, payload []byte, now time.Time) bool {
	keys := t.keys
	if !h.hasKid || !keys.fresh(now) || int64(now.Sub(keys.base)) >= keys.kidGapUntil.Load() {
		return false
	}
	if keys.current.Load().named(h) != nil {
		return false
	}
	exp, ok := expHint(payload)
	return ok && now.Unix() < exp
}

// check calls the issuer's Check, and empties t if it refuses the token.
func (r *rules) check(t *Token) error {
	if r.Check == nil {
		return nil
	}
	if err := r.Check(t); err != nil {
		*t = Token{}
		return fmt.Errorf("%w: %w", refusal("check"), err)
	}
	return nil
}

// cached returns the claims as a cachedToken.
func (c *claims) cached(k *key, s *shared) *cachedToken {
	session := c.session()
	names := make([]byte, 0, 128)
	names = append(append(append(names, c.sub...), session...), c.jti...)
	return &cachedToken{
		names: string(names), subject: int32(len(c.sub)), session: int32(len(session)),
		exp: c.exp, iat: c.iat, key: k, shared: s,
	}
}
