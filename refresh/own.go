package refresh

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"time"
)

// ownStore is the [Store] of what this process knows. Records that anybody can
// cause, with made-up refresh tokens, have room of their own: they push out
// neither results nor ends.
type ownStore struct {
	mu        sync.Mutex
	ends      MemoryStore // of logins, for longer than a day
	logins    MemoryStore // results
	strangers MemoryStore // all else
}

const (
	maxEnds      = 1 << 17
	maxLogins    = 1 << 16
	maxStrangers = 1 << 16
)

func newOwnStore() *ownStore {
	return &ownStore{ends: MemoryStore{Max: maxEnds}, logins: MemoryStore{Max: maxLogins}, strangers: MemoryStore{Max: maxStrangers}}
}

// Get implements [Store].
func (s *ownStore) Get(ctx context.Context, key string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, _, err := s.find(ctx, key)
	return v, err
}

// find returns the value under key and the room that it is in. The caller holds
// mu.
func (s *ownStore) find(ctx context.Context, key string) (v []byte, room *MemoryStore, err error) {
	for _, room := range []*MemoryStore{&s.ends, &s.logins, &s.strangers} {
		v, err := room.Get(ctx, key)
		if err == nil || !errors.Is(err, ErrNotFound) {
			return v, room, err
		}
	}
	return nil, nil, ErrNotFound
}

// Swap implements [Store].
func (s *ownStore) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, room, err := s.find(ctx, key)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return false, err
	}
	if !bytes.Equal(v, old) {
		return false, nil
	}
	to := s.roomOf(new, ttl)
	if room == nil || room == to {
		return to.Swap(ctx, key, old, new, ttl)
	}
	if _, err := room.Swap(ctx, key, old, nil, 0); err != nil || len(new) == 0 {
		return err == nil, err
	}
	return to.Swap(ctx, key, nil, new, ttl)
}

// roomOf returns the room of a new record. An end for a day or less is one of
// tokens that nobody could tell from made-up ones: see [Coordinator.Revoke].
func (s *ownStore) roomOf(r record, ttl time.Duration) *MemoryStore {
	switch {
	case r.kind() == ended && ttl > maxUnproven:
		return &s.ends
	case r.tokens() != nil:
		return &s.logins
	}
	return &s.strangers
}
