package verify

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// An activeIssuer is an issuer in use, with its rules and its keys.
type activeIssuer struct {
	url    string // that Lookup was asked for; empty for one given to New
	rules  atomic.Pointer[rules]
	keys   *keySet
	proven atomic.Bool // a token of it has been verified, or it was given to New
}

// newStatic returns an issuer that was given to New.
func (j *JWT) newStatic(r *rules) *activeIssuer {
	t := new(activeIssuer)
	t.rules.Store(r)
	t.proven.Store(true)
	from := newSource(r, j.client, &j.limits)
	t.keys = newKeySet(j.ctx, &j.group, printable(r.URL), &j.limits, from.kidGap(), j.observed(printable(r.URL), from.load))
	return t
}

// newDynamic returns an issuer that Lookup has accepted. Lookup is called again
// when the keys are fetched again, and its new answer holds for all tokens of
// the issuer, cached ones too.
func (j *JWT) newDynamic(url string, r *rules) *activeIssuer {
	t := &activeIssuer{url: url}
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
				j.forget(url)
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
