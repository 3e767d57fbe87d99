package verify

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// A activeIssuer is one issuer in use: its rules and its keys.
type activeIssuer struct {
	rules atomic.Pointer[rules]
	keys  *keySet
}

// newStatic returns the tenant of an issuer that the configuration names.
func (j *JWT) newStatic(r *rules) *activeIssuer {
	t := new(activeIssuer)
	t.rules.Store(r)
	from := newSource(r, j.client, &j.limits)
	t.keys = newKeySet(j.ctx, &j.group, printable(r.URL), &j.limits, from.kidGap(), j.observed(printable(r.URL), from.load))
	return t
}

// newDynamic returns the tenant of an issuer that Lookup has accepted. Whether
// it still does is asked again when the keys are revalidated: what it says then
// holds for all of the issuer's tokens, remembered or not.
func (j *JWT) newDynamic(url string, r *rules) *activeIssuer {
	t := new(activeIssuer)
	t.rules.Store(r)
	from := newSource(r, j.client, &j.limits)
	asked := time.Now()
	load := func(ctx context.Context, old *snapshot) (*snapshot, error) {
		// Not for each unknown key ID, as the tokens that are remembered have
		// to be verified again afterwards.
		again := time.Since(asked) >= j.limits.maxAge/2
		if again {
			r, err := j.lookUp(ctx, url)
			if errors.Is(err, ErrInvalid) {
				j.dynamic.Remove(url) // which stops the set
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

// renew makes new keys of those in s.
func (s *snapshot) renew() {
	keys := make(map[string]*key, len(s.keys))
	for id, k := range s.keys {
		keys[id] = newKey(k.JWKMarshal, k.public)
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
	// Asked beside the request, and once for all requests at a time: one that
	// is given up takes no other with it.
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

// lookUp asks Lookup. An answer that is no issuer of this name is a mistake of
// the program's, and nothing is decided on it.
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
