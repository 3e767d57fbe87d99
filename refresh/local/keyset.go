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

// A keySet is the keys of an Issuer until a time.
type keySet struct {
	signing *signer.Key
	since   int64 // when signing began to sign
	jwks    []byte
	ring    ring
	until   time.Time // zero: for good
}

const (
	// reload is how soon a replica learns of another's new key: long before
	// that signs.
	reload = time.Minute

	// retry is how soon the Store is asked again after it has failed, and
	// keysTime how long one look may take.
	retry    = 10 * time.Second
	keysTime = time.Second
)

func (s *keySet) good(now time.Time) bool {
	return s != nil && (s.until.IsZero() || now.Before(s.until))
}

// keySet returns the keys of this time. The Issuer is ready.
func (i *Issuer) keySet(ctx context.Context) (*keySet, error) {
	if s := i.keys.Load(); s.good(time.Now()) {
		return s, nil
	}
	i.turning.Lock()
	defer i.turning.Unlock()
	now, was := time.Now(), i.keys.Load()
	if was.good(now) {
		return was, nil
	}
	s, err := i.turn(ctx, was, now)
	if err != nil && was != nil {
		// The keys at hand go on. They are all published.
		on := *was
		if again, setErr := was.ring.set(now); setErr == nil {
			on = *again
		}
		on.until = now.Add(retry)
		s, err = &on, nil
	}
	if err == nil {
		i.keys.Store(s)
	}
	return s, err
}

// turn brings the keys up to a time.
func (i *Issuer) turn(ctx context.Context, was *keySet, now time.Time) (*keySet, error) {
	if len(i.Signers) > 0 {
		return ownKeys(i)
	}
	if i.shared == nil {
		var r ring
		if was != nil {
			r = was.ring
		}
		r, err := r.turn(now, i.alg, i.rotate, i.life)
		if err != nil {
			return nil, err
		}
		return i.set(r, now)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keysTime)
	defer cancel()
	r, err := i.turnShared(ctx, was, now)
	if err != nil {
		return nil, err
	}
	s, err := i.set(r, now)
	if err == nil {
		s.until = earlier(s.until, now.Add(reload))
	}
	return s, err
}

func (i *Issuer) set(r ring, now time.Time) (*keySet, error) {
	s, err := r.set(now)
	if err != nil {
		return nil, err
	}
	s.until = r.changes(now, i.rotate, i.life)
	if !s.until.After(now) {
		s.until = now.Add(retry)
	}
	return s, nil
}

// turnShared brings the keys in the Store up to a time. Where it has lost them,
// those at hand go back there.
func (i *Issuer) turnShared(ctx context.Context, was *keySet, now time.Time) (turned ring, err error) {
	// Other Issuers' keys, and those of another Secret, are somewhere else.
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
		if turned, err = r.turn(now, i.alg, i.rotate, i.life); err != nil {
			return nil, 0, err
		}
		if old != nil && turned.same(r) {
			return old, 0, nil
		}
		plain, err := json.Marshal(turned)
		if err != nil {
			return nil, 0, err
		}
		sealed, err := seal.Seal(i.Secret, sealLabel, plain, []byte(key))
		// Whoever signs later than that has turned the ring before.
		return sealed, i.rotate + publishAhead + i.life + time.Hour, err
	})
	if err != nil {
		return nil, fmt.Errorf("renewing the signing keys: %w", err)
	}
	return turned, nil
}

const sealLabel = "tokenlife local keys"

// ownKeys returns the keys of the program's own.
func ownKeys(i *Issuer) (*keySet, error) {
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
