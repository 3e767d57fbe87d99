package refresh

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

const (
	defaultMaxValues = 65536
	sweepEvery       = time.Minute
)

// A MemoryStore is a [Store] in this process's memory. The zero value is ready.
// It is for programs that run as one process, and for tests: replicas behind a
// load balancer need a store that they share.
//
// It has no goroutine and needs no closing. Writes free the memory of expired
// values, once a minute. Its errors are ErrNotFound, that of a context that has
// ended, and those of a Swap with wrong arguments. Use it by pointer, from any
// number of goroutines.
type MemoryStore struct {
	// Max is how many values are kept. When it is reached, the value that was
	// written longest ago is dropped. Logins kept on the server take three
	// values each, and one more for each refresh of the last minute. Of these,
	// the lists of a user's logins are written least often, and so are dropped
	// first. Default 65,536.
	Max int

	mu     sync.Mutex
	values *simplelru.LRU[string, memoryValue] // read by Peek alone, so in the order of writing
	sweep  time.Time                           // when to look for expired values next
}

type memoryValue struct {
	data   []byte
	expiry time.Time
}

// Get implements [Store].
func (s *MemoryStore) Get(ctx context.Context, key string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	data := s.peek(key, time.Now())
	if data == nil {
		return nil, ErrNotFound
	}
	return bytes.Clone(data), nil
}

// Swap implements [Store].
func (s *MemoryStore) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	switch {
	case len(old) == 0 && len(new) == 0:
		return false, errors.New("refresh: Swap from nothing to nothing")
	case len(new) > 0 && ttl <= 0:
		return false, errors.New("refresh: Swap with a lifetime that is not positive")
	case s.Max < 0:
		return false, errors.New("refresh: MemoryStore.Max is negative")
	case ctx.Err() != nil:
		return false, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if err := s.prepare(now); err != nil {
		return false, err
	}
	// To bytes.Equal nil and empty are equal, as the contract wants.
	if !bytes.Equal(s.peek(key, now), old) {
		return false, nil
	}
	if len(new) == 0 {
		s.values.Remove(key)
		return true, nil
	}
	s.values.Add(key, memoryValue{bytes.Clone(new), now.Add(ttl)})
	return true, nil
}

// peek returns the value under key, or nil. The caller holds s.mu.
func (s *MemoryStore) peek(key string, now time.Time) []byte {
	if s.values == nil {
		return nil
	}
	v, ok := s.values.Peek(key)
	if !ok || !now.Before(v.expiry) {
		return nil
	}
	return v.data
}

// prepare makes the map on the first use, and later removes expired values once
// a minute. Without that, the values of a burst would stay until Max others
// have been written. The caller holds s.mu.
func (s *MemoryStore) prepare(now time.Time) (err error) {
	if s.values == nil {
		size := s.Max
		if size == 0 {
			size = defaultMaxValues
		}
		s.values, err = simplelru.NewLRU[string, memoryValue](size, nil)
		s.sweep = now.Add(sweepEvery)
		return err
	}
	if now.Before(s.sweep) {
		return nil
	}
	s.sweep = now.Add(sweepEvery)
	for _, key := range s.values.Keys() {
		if v, ok := s.values.Peek(key); ok && !now.Before(v.expiry) {
			s.values.Remove(key)
		}
	}
	return nil
}
