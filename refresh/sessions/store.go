package sessions

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
)

func loginKey(name string) string { return refresh.StoreKey("sessions.login", name) }

// A timedStore gives each look at the Store the same time, and says in an error
// what has failed.
type timedStore struct {
	refresh.Store
	timeout time.Duration
	health  *health
}

func (s timedStore) Get(ctx context.Context, key string) ([]byte, error) {
	timed, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	v, err := s.Store.Get(timed, key)
	s.health.note(ctx, err)
	if err != nil {
		return nil, fmt.Errorf("sessions: reading the store: %w", err)
	}
	return v, nil
}

func (s timedStore) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	timed, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	done, err := s.Store.Swap(timed, key, old, new, max(ttl, time.Millisecond))
	s.health.note(ctx, err)
	if err != nil {
		return false, fmt.Errorf("sessions: writing to the store: %w", err)
	}
	return done, nil
}

// The health of a Store tells of outages in which claims may have lapsed.
type health struct {
	mu      sync.Mutex
	good    time.Time // when it last did what it was asked
	failing bool      // since then it has failed
	back    time.Time // when it was good again after an outage
}

const (
	// shortOutage is one in which no claim lapses that is renewed.
	shortOutage = 2 * time.Second

	// recovery is the time after an outage in which results are written that
	// could not be before. Each is tried twice in it.
	recovery = 2 * time.Second
)

// note takes down how a call of the Store has ended.
func (h *health) note(ctx context.Context, err error) {
	if err != nil && ctx.Err() != nil {
		return // it was given up by its caller
	}
	now := time.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil && !errors.Is(err, refresh.ErrNotFound) {
		h.failing = true
		return
	}
	if h.failing && now.Sub(h.good) > shortOutage {
		h.back = now
	}
	h.good, h.failing = now, false
}

// recovering returns how long it takes until the results of other processes are
// in the Store that could not be written in an outage.
func (h *health) recovering() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Until(h.back.Add(recovery))
}

// get returns the value under key, nil where there is none.
func (s *Sessions) get(ctx context.Context, key string) ([]byte, error) {
	v, err := s.store.Get(ctx, key)
	if errors.Is(err, refresh.ErrNotFound) {
		return nil, nil
	}
	return v, err
}

// put is the Store's Swap. Where that fails, it looks whether it has happened.
func (s *Sessions) put(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	done, err := s.store.Swap(ctx, key, old, new, ttl)
	if err == nil {
		return done, nil
	}
	switch now, readErr := s.get(ctx, key); {
	case readErr != nil, bytes.Equal(now, old):
		return false, err
	default:
		return bytes.Equal(now, new), nil
	}
}

// find returns a login by its name, nil where there is none.
func (s *Sessions) find(ctx context.Context, name string) (*stored, error) {
	begin := time.Now()
	raw, err := s.get(ctx, loginKey(name))
	if raw == nil || err != nil {
		return nil, err
	}
	at, err := decode(name, raw)
	if err == nil {
		at.read = begin
	}
	return at, err
}

// write replaces a record, and returns what stands there then, or nil where it
// has changed since it was read.
func (s *Sessions) write(ctx context.Context, at *stored, l *login) (*stored, error) {
	raw, err := l.encode()
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	done, err := s.put(ctx, loginKey(at.name), at.raw, raw, l.left(begin))
	if !done || err != nil {
		return nil, err
	}
	return &stored{*l, at.name, raw, begin}, nil
}

// A firstRead is a Store whose first Get is answered with what has been read
// before.
type firstRead struct {
	refresh.Store
	raw []byte
}

func (s *firstRead) Get(ctx context.Context, key string) ([]byte, error) {
	if raw := s.raw; raw != nil {
		s.raw = nil
		return raw, nil
	}
	return s.Store.Get(ctx, key)
}
