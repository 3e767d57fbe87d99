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
// first. It is what replicas share.
type ring []ringKey

// A ringKey is one of them. Times are Unix milliseconds.
type ringKey struct {
	Private []byte `json:"private,omitempty"` // PKCS #8; gone when it does not sign any more
	Public  []byte `json:"public"`            // PKIX
	Alg     string `json:"alg"`
	From    int64  `json:"from"` // when it signs
	Life    int64  `json:"life"` // of what it signs
	Ends    int64  `json:"ends"` // when the last of that has expired; 0: it signs yet
}

// leeway is how long after its last token has expired a key stays published:
// clocks differ.
const leeway = 2 * time.Minute

// turn returns the ring as it should be at a time: without the keys of which
// no token is left, and with the next one where it is time to publish that.
func (r ring) turn(now time.Time, alg string, every, life time.Duration) (ring, error) {
	at := now.UnixMilli()
	var turned ring
	for n, k := range r {
		if n > 0 && r[n-1].From <= at { // its successor signs
			if k.Private = nil; k.Ends == 0 {
				// Noted, as the successor may go before it.
				k.Ends = r[n-1].From + max(k.Life, life.Milliseconds()) + leeway.Milliseconds()
			}
			if k.Ends <= at {
				continue
			}
		}
		turned = append(turned, k)
	}
	from := at
	if len(turned) > 0 {
		newest := turned[0]
		due := newest.From + every.Milliseconds()
		if newest.Alg != alg {
			due = at
		}
		if newest.From > at || due-publishAhead.Milliseconds() > at {
			return turned, nil
		}
		from = max(due, at+publishAhead.Milliseconds())
	}
	next, err := newRingKey(alg)
	if err != nil {
		return nil, err
	}
	next.From, next.Life = from, life.Milliseconds()
	return slices.Insert(turned, 0, next), nil
}

// same tells whether two rings are one: all changes show in this.
func (r ring) same(other ring) bool {
	return slices.EqualFunc(r, other, func(a, b ringKey) bool {
		return string(a.Public) == string(b.Public) && len(a.Private) == len(b.Private)
	})
}

// changes returns when the ring may have to be looked at again.
func (r ring) changes(now time.Time, every, life time.Duration) time.Time {
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

// set returns what the ring's keys are at a time.
func (r ring) set(now time.Time) (*keySet, error) {
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
		// The newest that signs by now; or where another replica's clock is ahead
		// of ours, the oldest that can sign.
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
