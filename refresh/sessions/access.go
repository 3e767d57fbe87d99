package sessions

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
)

// A view is the cached access tokens of a login. It is good for CacheFor, and for
// longer while the Store cannot be read.
type view struct {
	slots   [maxAccess]slot // newest first
	checked atomic.Int64    // when the Store said so, since Sessions.begin
	asking  atomic.Bool     // one caller is asking again
}

type slot struct{ handle, token string }

// token returns the access token of a handle, in a time that does not tell how
// much of the handle is right.
func (v *view) token(handle string) (string, bool) {
	for i := range v.slots {
		if equal(v.slots[i].handle, handle) {
			return v.slots[i].token, true
		}
	}
	return "", false
}

func equal(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	var difference byte
	for i := range len(a) {
		difference |= a[i] ^ b[i]
	}
	return difference == 0
}

// retryAfter is how soon the Store is asked again after it has failed.
const retryAfter = time.Second

// Access implements [refresh.Keeper]. It is answered from memory where the login
// was seen less than CacheFor ago. The two newest access tokens of a login are
// found. With ShowAccess, what is no handle is the access token itself.
func (s *Sessions) Access(ctx context.Context, handle string) (string, error) {
	if err := s.ready(); err != nil {
		return "", err
	}
	name, ok := parseAccess(handle)
	switch {
	case !ok && s.ShowAccess && handle != "":
		return handle, nil
	case !ok:
		return "", fmt.Errorf("sessions: %w: this is no handle", refresh.ErrNotFound)
	}
	v, ok := s.views.Get(name)
	if !ok {
		return s.load(ctx, name, handle)
	}
	token, ok := v.token(handle)
	if !ok {
		return s.load(ctx, name, handle)
	}
	// One asks again, the others need not wait for it.
	if now := time.Since(s.begin); now-time.Duration(v.checked.Load()) >= s.cacheFor && v.asking.CompareAndSwap(false, true) {
		defer v.asking.Store(false)
		found, err := s.load(ctx, name, handle)
		if err == nil || errors.Is(err, refresh.ErrNotFound) {
			return found, err
		}
		// The Store cannot tell. The token says when it ends itself.
		v.checked.Store(int64(now - s.cacheFor + min(retryAfter, s.cacheFor)))
	}
	return token, nil
}

// IDToken returns the ID token of the login that a refresh handle belongs to. It
// returns "" if the provider has given none, if the login is over, or if the
// handle is no longer good. Providers want it as a hint at a sign-out.
func (s *Sessions) IDToken(ctx context.Context, refresh string) (string, error) {
	if err := s.ready(); err != nil {
		return "", err
	}
	h, ok := parseHandle(refresh)
	if !ok {
		return "", nil
	}
	at, err := s.find(ctx, h.name())
	if at == nil || err != nil || !at.alive(time.Now()) {
		return "", err
	}
	current, ok := at.follow(h, time.Now())
	if !ok {
		return "", nil
	}
	kept, err := at.tokens(current)
	return kept.ID, err
}

// load asks the Store for the access token of a handle.
func (s *Sessions) load(ctx context.Context, name, handle string) (string, error) {
	ends, now := s.ends.Load(), time.Since(s.begin)
	at, err := s.find(ctx, name)
	if err != nil {
		return "", err
	}
	if at == nil || !at.alive(time.Now()) {
		s.views.Remove(name)
		return "", fmt.Errorf("sessions: %w: there is no such login", refresh.ErrNotFound)
	}
	token, err := at.access(handle)
	if err != nil {
		return "", fmt.Errorf("sessions: the access token: %w", err)
	}
	s.cache(name, slot{handle, token}, now, ends)
	s.recent.Add(name, at)
	return token, nil
}

// cache adds an access token to the view of a login, unless a login was ended here
// since ends was read.
func (s *Sessions) cache(name string, newest slot, now time.Duration, ends uint64) {
	v := &view{slots: [maxAccess]slot{newest}}
	v.checked.Store(int64(now))
	if old, ok := s.views.Peek(name); ok {
		for _, other := range old.slots {
			// A login in use goes on with the newer one before long.
			if other.handle != newest.handle && other.handle != "" {
				v.slots[1] = other
				break
			}
		}
	}
	s.views.Add(name, v)
	if s.ends.Load() != ends {
		s.views.Remove(name)
	}
}

// forget drops the view of a login that has been ended here. The counter goes first:
// a cache that is under way sees it, and drops its own view.
func (s *Sessions) forget(name string) {
	s.ends.Add(1)
	s.views.Remove(name)
	s.recent.Remove(name)
}

// Arrived implements [refresh.Arriver]: access, which came with the current
// handle, has been presented by a client.
func (s *Sessions) Arrived(ctx context.Context, access string) error {
	if err := s.ready(); err != nil {
		return err
	}
	name, ok := parseAccess(access)
	sum := hash(access)
	var known []byte
	if !ok {
		if !s.ShowAccess || access == "" {
			return nil
		}
		var err error
		known, err = s.get(ctx, arrivalKey(access))
		if known == nil || err != nil {
			return err
		}
		expected := string(known)
		if len(expected) <= nameSize {
			return errUnreadable
		}
		name, sum = expected[:nameSize], []byte(expected[nameSize:])
	}
	at := s.recentAccess(name, sum)
	if at == nil {
		var err error
		if at, err = s.find(ctx, name); err != nil {
			return err
		}
	}
	if at != nil && at.newest(sum) {
		if err := s.noteArrival(ctx, at); err != nil {
			return err
		}
		s.recent.Remove(name)
	}
	if known != nil {
		// It arrives once. Kept, a login in use would leave hundreds a day.
		_, _ = s.put(ctx, arrivalKey(access), known, nil, 0)
	}
	return nil
}

// The records of logins that this process has read or written lately save a read
// where the next thing is a compare-and-swap of that record.
const (
	maxRecent  = 1024
	recentTime = time.Second // how long a record is good for a refresh
)

// recentAccess returns a record that this process has read or written, if its
// newest access token is the one with a hash.
func (s *Sessions) recentAccess(name string, sum []byte) *stored {
	if at, ok := s.recent.Peek(name); ok && at.newest(sum) {
		return at
	}
	return nil
}

// recentHandle returns a record that this process has read or written just now, if
// h is its current handle.
func (s *Sessions) recentHandle(h handle) *stored {
	at, ok := s.recent.Peek(h.name())
	if !ok || time.Since(at.read) > recentTime || !at.alive(time.Now()) || !same(at.Hash, hash(string(h))) {
		return nil
	}
	return at
}

// newest reports whether the newest access token has this hash.
func (at *stored) newest(sum []byte) bool {
	return len(at.Access) > 0 && same(at.Access[0].Hash, sum)
}

// noteArrival lets the time of the handle before the current one run out. Where
// the login has changed meanwhile, that change knows of the arrival.
func (s *Sessions) noteArrival(ctx context.Context, at *stored) error {
	now, l := time.Now(), at.login
	if !l.alive(now) || !l.arrive(now, s.grace) {
		return nil
	}
	_, err := s.write(ctx, at, &l)
	return err
}

// expectArrival makes the login of an access token that clients hold themselves
// known to Arrived. Only a shorter life of the handle before depends on it.
func (s *Sessions) expectArrival(ctx context.Context, name string, l *login, token string) {
	if s.ShowAccess {
		value := name + string(l.Access[0].Hash)
		_, _ = s.put(ctx, arrivalKey(token), nil, []byte(value), min(s.keep, l.left(time.Now())))
	}
}

func arrivalKey(token string) string { return refresh.StoreKey("sessions.arrival", token) }
