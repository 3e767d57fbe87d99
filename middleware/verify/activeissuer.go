package verify

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// An activeIssuer is an issuer in use, with its rules and its keys.
type activeIssuer struct {
	rules atomic.Pointer[rules]
	keys  *keySet
}

// newStatic returns an issuer that was given to New.
func (j *JWT) newStatic(r *rules) *activeIssuer {
	t := new(activeIssuer)
	t.rules.Store(r)
	from := newSource(r, j.client, &j.limits)
	t.keys = newKeySet(j.ctx, &j.group, printable(r.URL), &j.limits, from.kidGap(), j.observed(printable(r.URL), from.load))
	return t
}

// newDynamic returns an issuer that Lookup has accepted. Lookup is called again
// when the keys are fetched again, and its new answer holds for all tokens of
// the issuer, cached ones too.
func (j *JWT) newDynamic(url string, r *rules) *activeIssuer {
	t := new(activeIssuer)
	t.rules.Store(r)
	from := newSource(r, j.client, &j.limits)
	asked := time.Now()
	load := func(ctx context.Context, old *snapshot) (*snapshot, error) {
		// Not for each unknown key ID, as all cached tokens of the issuer have
		// to be verified again afterwards.
		again := time.Since(asked) >= j.limits.maxAge/2
		if again {
			r, err := j.lookUp(ctx, url)
			if errors.Is(err, ErrInvalid) {
				j.dynamic.Remove(url) // stops the set too
			}
			if err != nil {
				return nil, err
			}
			asked = time.Now()
			from = newSource(r, j.client, &j.limits)
			t.rules.Store(r)
		}
		next, err := from.load(ctx, old)
		if err == nil && again {
			next.renew()
		}
		return next, err
	}
	t.keys = newKeySet(j.ctx, &j.group, printable(r.URL), &j.limits, from.kidGap(), j.observed(printable(r.URL), load))
	return t
}

// renew replaces the keys of s by copies, so that tokens that were cached with
// the old ones are verified again.
func (s *snapshot) renew() {
	keys := make([]*key, len(s.keys))
	for i, k := range s.keys {
		keys[i] = newKey(k.JWKMarshal, k.public)
	}
	s.keys, s.renewed = keys, true
}

// active returns the active whose tokens have iss, or nil.
func (j *JWT) active(ctx context.Context, iss []byte) (*activeIssuer, error) {
	if t := j.static[string(iss)]; t != nil {
		return t, nil
	}
	if j.Lookup == nil {
		return nil, nil
	}
	url := string(iss)
	if t, ok := j.dynamic.Get(url); ok {
		return t, nil
	}
	// Lookup is called once for all requests that wait for this issuer, in a
	// goroutine of its own: it goes on if one of them is cancelled.
	answer := j.lookups.DoChan(url, func() (any, error) {
		if t, ok := j.dynamic.Get(url); ok {
			return t, nil
		}
		ctx, cancel := context.WithTimeout(j.ctx, j.limits.timeout)
		defer cancel()
		r, err := j.lookUp(ctx, url)
		if err != nil {
			return nil, err
		}
		t := j.newDynamic(url, r)
		j.mu.Lock()
		defer j.mu.Unlock()
		if j.ctx.Err() != nil {
			return nil, errClosed
		}
		j.dynamic.Add(url, t)
		return t, nil
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-answer:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*activeIssuer), nil
	}
}

// lookUp calls Lookup. An answer for another issuer is a mistake of the
// program, and an error that does not refuse the token.
func (j *JWT) lookUp(ctx context.Context, url string) (*rules, error) {
	issuer, err := j.Lookup(ctx, url)
	if err != nil {
		return nil, err
	}
	r, err := issuer.rules()
	if err == nil && !r.isFrom([]byte(url)) {
		err = errors.New("verify: Lookup returned another issuer than it was asked for")
	}
	return r, err
}
