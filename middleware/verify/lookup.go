package verify

import (
	"context"
	"errors"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

const (
	minUnproven = 256 // issuers that may wait for their first verified token
	maxCooling  = 16  // for each of them, how many are remembered that were pushed out
	maxPushed   = 8   // places that are tried for one that can be freed
)

var (
	errCooling = errors.New("its keys were fetched within the cool-down and had to make room for those of others: KeySets may be too small")
	errCrowded = errors.New("too many issuers wait for their first verified token: KeySets may be too small")
)

// tenants are the issuers that Lookup has found.
//
// Anybody can write a token that names one of them. So an issuer is in use only
// once a token of it has been verified, and until then takes no place of those
// that are. A set that is pushed out before leaves behind when it was fetched:
// its issuer is not asked again within the cool-down, whatever tokens name.
type tenants struct {
	inUse    *lru.Cache[string, *activeIssuer]
	unproven *lru.Cache[string, *activeIssuer]
	cooling  *lru.Cache[string, time.Time] // when the keys were fetched of those pushed out of unproven
	size     int                           // of unproven
}

func newTenantSets(size int) tenants {
	s := tenants{size: max(size, minUnproven)}
	// The only error is for a size that is not positive.
	s.inUse, _ = lru.NewWithEvict(size, func(_ string, t *activeIssuer) { t.keys.stop() })
	s.unproven, _ = lru.New[string, *activeIssuer](s.size)
	s.cooling, _ = lru.New[string, time.Time](maxCooling * s.size)
	return s
}

func (s *tenants) get(url string) *activeIssuer {
	if t, ok := s.inUse.Get(url); ok {
		return t
	}
	t, _ := s.unproven.Get(url)
	return t
}

// makeRoom makes room for url among the unproven. A set that is being fetched
// keeps its place, as requests wait for it. The JWT's mu is held.
func (s *tenants) makeRoom(url string, now time.Time, cooldown time.Duration) error {
	if at, ok := s.cooling.Peek(url); ok && now.Sub(at) < cooldown {
		return errCooling
	}
	s.cooling.Remove(url)
	for range maxPushed {
		if s.unproven.Len() < s.size {
			return nil
		}
		oldest, t, _ := s.unproven.GetOldest()
		at, fetching := t.keys.lastFetch()
		if fetching {
			s.unproven.Get(oldest) // now it is the newest
			continue
		}
		if now.Sub(at) < cooldown {
			if _, first, ok := s.cooling.GetOldest(); ok && s.cooling.Len() == maxCooling*s.size && now.Sub(first) < cooldown {
				return errCrowded
			}
			s.cooling.Add(oldest, at)
		}
		s.unproven.Remove(oldest)
		t.keys.stop()
	}
	return errCrowded
}

// forget ends the key set of an issuer.
func (j *JWT) forget(url string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.tenants.inUse.Remove(url) // stops the set
	if t, ok := j.tenants.unproven.Peek(url); ok {
		j.tenants.unproven.Remove(url)
		t.keys.stop()
	}
}

// close ends all key sets.
func (s *tenants) close() {
	s.inUse.Purge()
	for _, t := range s.unproven.Values() {
		t.keys.stop()
	}
	s.unproven.Purge()
}

// prove counts an issuer as in use, since a token of it has been verified.
func (j *JWT) prove(t *activeIssuer) {
	if t.proven.Load() {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if listed, _ := j.tenants.unproven.Peek(t.url); listed != t || j.ctx.Err() != nil {
		return // it was pushed out meanwhile
	}
	t.proven.Store(true)
	j.tenants.unproven.Remove(t.url)
	j.tenants.inUse.Add(t.url, t)
}

// active returns the issuer whose tokens have iss, or nil.
func (j *JWT) active(ctx context.Context, iss []byte) (*activeIssuer, error) {
	if t := j.static[string(iss)]; t != nil {
		return t, nil
	}
	if j.Lookup == nil {
		return nil, nil
	}
	url := string(iss)
	if t := j.tenants.get(url); t != nil {
		return t, nil
	}
	// Lookup is called once for all requests that wait for this issuer, in a
	// goroutine of its own: it goes on if one of them is cancelled.
	answer := j.lookups.DoChan(url, func() (any, error) {
		if t := j.tenants.get(url); t != nil {
			return t, nil
		}
		ctx, cancel := context.WithTimeout(j.ctx, j.limits.timeout)
		defer cancel()
		r, err := j.lookUp(ctx, url)
		if err != nil {
			return nil, err
		}
		j.mu.Lock()
		defer j.mu.Unlock()
		if j.ctx.Err() != nil {
			return nil, errClosed
		}
		if err := j.tenants.makeRoom(url, time.Now(), j.limits.cooldown); err != nil {
			return nil, err
		}
		t := j.newDynamic(url, r)
		j.tenants.unproven.Add(url, t)
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

// lookUp calls Lookup. An answer for another issuer, or for one that is fetched
// from this machine, is a mistake of the program, and an error that does not
// refuse the token. So is a panic, which would end the whole program.
func (j *JWT) lookUp(ctx context.Context, url string) (_ *rules, err error) {
	defer func() {
		if recover() != nil { // its value may hold anything
			err = errPanic
		}
	}()
	issuer, err := j.Lookup(ctx, url)
	if err != nil {
		return nil, err
	}
	r, err := issuer.rules()
	switch {
	case err != nil:
		return nil, err
	case !r.isFrom([]byte(url)):
		return nil, errors.New("verify: Lookup returned another issuer than it was asked for")
	case !j.InsecureLoopback:
		return r, r.overHTTPS()
	}
	return r, nil
}
