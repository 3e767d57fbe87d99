package local

import (
	"crypto"
	"crypto/x509"
	"errors"
	"slices"
	"time"

	"github.com/tokenlife/tokenlife/refresh/internal/signer"
)

// A ring is the signing keys that an Issuer has made and still needs, newest
// first. Replicas share it.
type ring []ringKey

// A ringKey is one key of a ring. Times are in Unix milliseconds.
type ringKey struct {
	Private []byte `json:"private,omitempty"` // PKCS #8; empty when the key no longer signs
	Public  []byte `json:"public"`            // PKIX
	Alg     string `json:"alg"`
	From    int64  `json:"from"` // when it begins to sign
	Life    int64  `json:"life"` // of the tokens that it signs, in milliseconds
	Ends    int64  `json:"ends"` // when its last token has expired; 0: it still signs
}

// leeway is how long a key stays published after its last token has expired,
// since clocks differ.
const leeway = 2 * time.Minute

// rotated returns the ring as it should be at a time: without keys whose tokens
// have all expired, and with the next key where it is time to publish it.
func (r ring) rotated(now time.Time, alg string, every, life time.Duration) (ring, error) {
	at := now.UnixMilli()
	var rotated ring
	for n, k := range r {
		if n > 0 && r[n-1].From <= at { // its successor signs
			if k.Private = nil; k.Ends == 0 {
				// Stored, since the successor may be removed before this key.
				k.Ends = r[n-1].From + max(k.Life, life.Milliseconds()) + leeway.Milliseconds()
			}
			if k.Ends <= at {
				continue
			}
		}
		rotated = append(rotated, k)
	}
	from := at
	if len(rotated) > 0 {
		newest := rotated[0]
		due := newest.From + every.Milliseconds()
		if newest.Alg != alg {
			due = at
		}
		if newest.From > at || due-publishAhead.Milliseconds() > at {
			return rotated, nil
		}
		from = max(due, at+publishAhead.Milliseconds())
	}
	next, err := newRingKey(alg)
	if err != nil {
		return nil, err
	}
	next.From, next.Life = from, life.Milliseconds()
	return slices.Insert(rotated, 0, next), nil
}

// equal reports whether two rings have the same keys, and the same of them can
// sign. Every change of a ring changes one or the other.
func (r ring) equal(other ring) bool {
	return slices.EqualFunc(r, other, func(a, b ringKey) bool {
		return string(a.Public) == string(b.Public) && len(a.Private) == len(b.Private)
	})
}

// nextChange returns the earliest time after now at which the ring can change.
func (r ring) nextChange(now time.Time, every, life time.Duration) time.Time {
	next := time.UnixMilli(r[0].From).Add(every - publishAhead)
	for n, k := range r {
		times := []time.Time{time.UnixMilli(k.From)}
		switch {
		case k.Ends != 0:
			times = append(times, time.UnixMilli(k.Ends))
		case n > 0:
			longest := max(time.Duration(k.Life)*time.Millisecond, life)
			times = append(times, time.UnixMilli(r[n-1].From).Add(longest+leeway))
		}
		for _, t := range times {
			if t.After(now) && t.Before(next) {
				next = t
			}
		}
	}
	return next
}

func newRingKey(alg string) (k ringKey, err error) {
	private, err := signer.Generate(alg)
	if err != nil {
		return k, err
	}
	if k.Private, err = x509.MarshalPKCS8PrivateKey(private); err != nil {
		return k, err
	}
	k.Public, err = x509.MarshalPKIXPublicKey(private.Public())
	k.Alg = alg
	return k, err
}

// keySet returns the key set of the ring at a time.
func (r ring) keySet(now time.Time) (*keySet, error) {
	s := &keySet{ring: r}
	var public []signer.Public
	for _, k := range r {
		key, err := x509.ParsePKIXPublicKey(k.Public)
		if err != nil {
			return nil, errRing
		}
		p, err := signer.Describe(key)
		if err != nil {
			return nil, err
		}
		public = append(public, p)
		// The newest key that has begun to sign; or else, where the clock of
		// another replica is ahead of this one, the oldest key that can sign.
		if k.Private == nil || s.signing != nil && s.since <= now.UnixMilli() {
			continue
		}
		private, err := x509.ParsePKCS8PrivateKey(k.Private)
		if err != nil {
			return nil, errRing
		}
		signing, ok := private.(crypto.Signer)
		if !ok {
			return nil, errRing
		}
		if s.signing, err = signer.From(signing); err != nil {
			return nil, err
		}
		s.since = k.From
	}
	if s.signing == nil {
		return nil, errRing
	}
	s.jwks = signer.Set(public...)
	return s, nil
}

var errRing = errors.New("the signing keys in the store cannot be read")
