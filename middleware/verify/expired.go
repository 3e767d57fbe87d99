package verify

import (
	"context"
	"errors"
	"time"
)

// VerifyExpired is [JWT.Verify] for a token that may be past its expiry. It
// also checks the signature of an expired token, and returns no error if the
// token is good or was good until it expired. Use it to read a trusted claim of
// an old token, such as the time of its issue, and not to grant anything.
func (j *JWT) VerifyExpired(ctx context.Context, raw string) (*Token, error) {
	t, err := j.Verify(ctx, raw)
	if !errors.Is(err, ErrExpired) {
		return t, err
	}
	if m := j.cache.find(raw); m != nil && m.key.live.Load() {
		return t, nil // a token is cached only after its signature was checked
	}
	if err := j.verifySignature(ctx, raw); err != nil {
		return nil, err
	}
	return t, nil
}

// verifySignature checks the signature of a token, and nothing else.
func (j *JWT) verifySignature(ctx context.Context, raw string) error {
	b := buffers.Get().(*buffer)
	defer buffers.Put(b)
	p, ok := split(raw)
	if ok {
		b.header, ok = decodeSegment(b.header, p.header)
	}
	if ok {
		b.payload, ok = decodeSegment(b.payload, p.payload)
	}
	if ok {
		b.signature, ok = decodeSegment(b.signature, p.signature)
	}
	if !ok {
		return refusal("not base64url")
	}
	var h header
	if err := h.parse(b.header); err != nil {
		return err
	}
	var c claims
	if err := c.parse(b.payload); err != nil {
		return err
	}
	t, err := j.active(ctx, c.iss)
	switch {
	case err != nil:
		return err
	case t == nil:
		return otherIssuer(c.iss, j.names...)
	}
	keys, err := t.keys.find(ctx, time.Now(), &h)
	switch {
	case err != nil:
		return unknown(t.keys.issuer, err)
	case keys == nil:
		return h.unknownKey()
	}
	_, err = h.signedBy(keys, p.signed, b.signature)
	return err
}
