package local

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
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
	for {
		r, err := i.turnShared(ctx, was, now)
		if err != nil {
			return nil, err
		}
		if r == nil {
			continue // another replica was first
		}
		s, err := i.set(r, now)
		if err == nil {
			s.until = earlier(s.until, now.Add(reload))
		}
		return s, err
	}
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
// those at hand go back there. It returns nil where they have changed meanwhile.
func (i *Issuer) turnShared(ctx context.Context, was *keySet, now time.Time) (ring, error) {
	key, aead, err := i.sealer()
	if err != nil {
		return nil, err
	}
	raw, err := i.shared.Get(ctx, key)
	if err != nil && !errors.Is(err, refresh.ErrNotFound) {
		return nil, fmt.Errorf("reading the signing keys: %w", err)
	}
	var r ring
	switch {
	case err == nil:
		plain, err := aead.Open(nil, nil, raw, []byte(key))
		if err != nil || json.Unmarshal(plain, &r) != nil || len(r) == 0 {
			return nil, errRing
		}
	case was != nil:
		r = was.ring
	}
	turned, err := r.turn(now, i.alg, i.rotate, i.life)
	if err != nil || raw != nil && turned.same(r) {
		return turned, err
	}
	plain, err := json.Marshal(turned)
	if err != nil {
		return nil, err
	}
	// Whoever signs later than that has turned the ring before.
	ttl := i.rotate + publishAhead + i.life + time.Hour
	done, err := i.shared.Swap(ctx, key, raw, aead.Seal(nil, nil, plain, []byte(key)), ttl)
	if err != nil {
		return nil, fmt.Errorf("keeping the signing keys: %w", err)
	}
	if !done {
		return nil, nil
	}
	return turned, nil
}

// sealer returns where the keys are in the Store, and what seals them there.
// Both follow from the Secret: other Issuers' keys, and those of another Secret,
// are somewhere else.
func (i *Issuer) sealer() (key string, aead cipher.AEAD, err error) {
	name, err := hkdf.Key(sha256.New, i.Secret, nil, "tokenlife local keys, their place "+i.URL, 16)
	if err != nil {
		return "", nil, err
	}
	secret, err := hkdf.Key(sha256.New, i.Secret, nil, "tokenlife local keys", 32)
	if err != nil {
		return "", nil, err
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return "", nil, err
	}
	aead, err = cipher.NewGCMWithRandomNonce(block)
	return "local.keys." + base64.RawURLEncoding.EncodeToString(name), aead, err
}

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
