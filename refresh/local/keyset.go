package local

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/internal/seal"
	"github.com/tokenlife/tokenlife/refresh/internal/signer"
)

// A keySet is the keys of an Issuer, as they are until a time.
type keySet struct {
	signing *signer.Key // what access tokens are signed with
	since   int64       // when signing began to sign, in Unix milliseconds
	jwks    []byte      // the public keys
	ring    ring        // what the key set was made from; empty for Signers
	until   time.Time   // zero: for ever
}

const (
	// reloadAfter is how long a replica uses the keys that it has read from the
	// Store. It learns of another replica's new key long before that key signs.
	reloadAfter = time.Minute

	// retryAfter is the pause after a failure of the Store.
	retryAfter = 10 * time.Second

	// storeTimeout bounds the reading and writing of keys in the Store.
	storeTimeout = time.Second
)

// isFresh reports whether s can be used without a look at the Store or at the
// rotation.
func (s *keySet) isFresh(now time.Time) bool {
	return s != nil && (s.until.IsZero() || now.Before(s.until))
}

// keySet returns the current keys, and rotates them where it is time. The
// caller has called init.
func (i *Issuer) keySet(ctx context.Context) (*keySet, error) {
	if s := i.keys.Load(); s.isFresh(time.Now()) {
		return s, nil
	}
	i.rotating.Lock()
	defer i.rotating.Unlock()
	now, was := time.Now(), i.keys.Load()
	if was.isFresh(now) {
		return was, nil
	}
	s, err := i.rotated(ctx, was, now)
	if err != nil && was != nil {
		// The known keys stay in use. All of them are published.
		known := *was
		if current, setErr := was.ring.keySet(now); setErr == nil {
			known = *current
		}
		known.until = now.Add(retryAfter)
		s, err = &known, nil
	}
	if err == nil {
		i.keys.Store(s)
	}
	return s, err
}

// rotated returns the keys of a time: those of was, or of the Store, without
// keys that are no longer needed, and with the next one where it is time to
// publish it.
func (i *Issuer) rotated(ctx context.Context, was *keySet, now time.Time) (*keySet, error) {
	if len(i.Signers) > 0 {
		return signersKeySet(i)
	}
	if i.shared == nil {
		var r ring
		if was != nil {
			r = was.ring
		}
		r, err := r.rotated(now, i.alg, i.rotateEvery, i.life)
		if err != nil {
			return nil, err
		}
		return i.keySetOf(r, now)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	r, err := i.rotateShared(ctx, was, now)
	if err != nil {
		return nil, err
	}
	s, err := i.keySetOf(r, now)
	if err == nil {
		s.until = earlier(s.until, now.Add(reloadAfter))
	}
	return s, err
}

// keySetOf returns the key set of r, which holds until the ring changes.
func (i *Issuer) keySetOf(r ring, now time.Time) (*keySet, error) {
	s, err := r.keySet(now)
	if err != nil {
		return nil, err
	}
	s.until = r.nextChange(now, i.rotateEvery, i.life)
	if !s.until.After(now) {
		s.until = now.Add(retryAfter)
	}
	return s, nil
}

// rotateShared rotates the ring in the Store. If the Store has lost it, the
// ring of was takes its place.
func (i *Issuer) rotateShared(ctx context.Context, was *keySet, now time.Time) (rotated ring, err error) {
	// Each Issuer and each Secret has a key of its own.
	key := refresh.StoreKey("local.keys", string(i.Secret), i.URL)
	err = refresh.Update(ctx, i.shared, key, func(old []byte) ([]byte, time.Duration, error) {
		var r ring
		switch {
		case old != nil:
			plain, err := seal.Open(i.Secret, sealLabel, old, []byte(key))
			if err != nil || json.Unmarshal(plain, &r) != nil || len(r) == 0 {
				return nil, 0, errRing
			}
		case was != nil:
			r = was.ring
		}
		var err error
		if rotated, err = r.rotated(now, i.alg, i.rotateEvery, i.life); err != nil {
			return nil, 0, err
		}
		if old != nil && rotated.equal(r) {
			return old, 0, nil
		}
		plain, err := json.Marshal(rotated)
		if err != nil {
			return nil, 0, err
		}
		sealed, err := seal.Seal(i.Secret, sealLabel, plain, []byte(key))
		// A replica that signs later than that has rotated the ring before.
		return sealed, i.rotateEvery + publishAhead + i.life + time.Hour, err
	})
	if err != nil {
		return nil, fmt.Errorf("renewing the signing keys: %w", err)
	}
	return rotated, nil
}

const sealLabel = "tokenlife local keys"

// signersKeySet returns the key set of Signers.
func signersKeySet(i *Issuer) (*keySet, error) {
	s := new(keySet)
	var public []signer.Public
	for _, own := range i.Signers {
		k, err := signer.From(own)
		if err != nil {
			return nil, err
		}
		if s.signing == nil {
			s.signing = k
		}
		public = append(public, k.Public)
	}
	s.jwks = signer.Set(public...)
	return s, nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
