package refreshtest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
)

// ErrStoreDown is the error of a [FaultyStore] that is down or has lost an
// answer.
var ErrStoreDown = errors.New("refreshtest: the store is down")

var errAnswerLost = fmt.Errorf("%w: the answer to a write was lost", ErrStoreDown)

// A FaultyStore is a [refresh.Store] that fails, for tests. The zero value is
// ready. It works without faults until a method sets one. Delays are in virtual
// time inside a bubble of testing/synctest.
//
// For a test with several replicas, give each a FaultyStore of its own over the
// same Store. It stands for the replica's connection. A replica that was killed
// or cut off is one whose FaultyStore is down.
//
// Use it by pointer, from any number of goroutines. The methods may be called
// while it is in use. The fields must not be changed after the first use.
type FaultyStore struct {
	// Store keeps the values. Default: a new MemoryStore.
	Store refresh.Store

	// Skew is how far the clock of the replica that uses this FaultyStore is
	// ahead of the clocks of other replicas; negative: behind. It is added to
	// the times in the records of a [refresh.Coordinator] when they are
	// written, and subtracted when they are read. Other values are not changed.
	Skew time.Duration

	memory refresh.MemoryStore
	reach  sync.RWMutex // held for writing by Forget

	mu          sync.Mutex
	down        bool
	there, back time.Duration
	lose        int
	intercept   interception
	calls       []StoreCall
	gets, swaps int
	keys        map[string]struct{} // those of all Swaps
}

// A StoreCall is one call of a [FaultyStore].
type StoreCall struct {
	Swap     bool // false: a Get, of which only Key is set
	Key      string
	Old, New []byte
	TTL      time.Duration
}

// SetDown makes all calls fail with [ErrStoreDown], or lets them succeed again.
// A call whose answer is delayed fails as well, although it was carried out.
func (s *FaultyStore) SetDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// SetDelay delays calls by there before they reach the Store, and answers by
// back. If a call's context ends during the first delay, the call is not
// carried out. If it ends during the second, it was carried out. Calls that
// have begun keep their delays.
func (s *FaultyStore) SetDelay(there, back time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.there, s.back = there, back
}

// LoseAnswers makes the next n Swaps fail with [ErrStoreDown] although they are
// carried out; negative: all Swaps. It replaces what is left of an earlier
// LoseAnswers.
func (s *FaultyStore) LoseAnswers(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lose = n
}

// Intercept calls f for each call that reaches the Store. It is for faults that
// no other method has. The function do carries the call out, and reports
// whether a Get has found a value or a Swap has replaced one. An error of f is
// the answer to the call. If f returns nil without calling do, a Get finds no
// value, and a Swap replaces none.
//
// F is called by several goroutines at once. A nil f ends the interception.
func (s *FaultyStore) Intercept(f func(ctx context.Context, c StoreCall, do func() (bool, error)) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.intercept = f
}

// Forget deletes all values whose keys begin with prefix and that were written
// through s. To other users of s, it is a single step.
func (s *FaultyStore) Forget(prefix string) error {
	s.mu.Lock()
	keys := slices.Sorted(maps.Keys(s.keys))
	s.mu.Unlock()
	s.reach.Lock()
	defer s.reach.Unlock()
	for _, key := range keys {
		if !strings.HasPrefix(key, prefix) {
			continue
		}
		for done := false; !done; {
			old, err := s.inner().Get(context.Background(), key)
			if errors.Is(err, refresh.ErrNotFound) {
				break
			}
			if err == nil {
				done, err = s.inner().Swap(context.Background(), key, old, nil, 0)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// An interception is the argument of Intercept.
type interception = func(ctx context.Context, c StoreCall, do func() (bool, error)) error

// Count returns the number of Gets and Swaps, including those that failed.
func (s *FaultyStore) Count() (gets, swaps int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gets, s.swaps
}

// Calls returns all calls in the order in which they began, including those
// that failed.
func (s *FaultyStore) Calls() []StoreCall {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// Get implements [refresh.Store].
func (s *FaultyStore) Get(ctx context.Context, key string) (v []byte, err error) {
	err = s.call(ctx, StoreCall{Key: key}, func() (bool, error) {
		v, err = s.inner().Get(ctx, key)
		return err == nil, err
	})
	if err == nil && v == nil {
		err = refresh.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return shift(v, -s.Skew), nil
}

// Swap implements [refresh.Store].
func (s *FaultyStore) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (done bool, err error) {
	c := StoreCall{Swap: true, Key: key, Old: bytes.Clone(old), New: bytes.Clone(new), TTL: ttl}
	err = s.call(ctx, c, func() (bool, error) {
		// Both values have times by the replica's clock.
		done, err = s.inner().Swap(ctx, key, shift(old, s.Skew), shift(new, s.Skew), ttl)
		return done, err
	})
	return done && err == nil, err
}

// Watch implements [refresh.Watcher] if the Store does. Otherwise, or if s is
// down, it returns an error, and the caller polls.
func (s *FaultyStore) Watch(ctx context.Context, key string) (changed <-chan struct{}, stop func(), err error) {
	w, ok := s.inner().(refresh.Watcher)
	if !ok {
		return nil, nil, errors.ErrUnsupported
	}
	if err := s.failure(); err != nil {
		return nil, nil, err
	}
	return w.Watch(ctx, key)
}

func (s *FaultyStore) inner() refresh.Store {
	if s.Store == nil {
		return &s.memory
	}
	return s.Store
}

// call carries a call out, with the faults that are set.
func (s *FaultyStore) call(ctx context.Context, c StoreCall, do func() (bool, error)) error {
	there, back, intercept := s.begin(c)
	if err := s.pass(ctx, there); err != nil {
		return err
	}
	reach := func() (bool, error) {
		s.reach.RLock()
		defer s.reach.RUnlock()
		return do()
	}
	var err error
	if intercept == nil {
		_, err = reach()
	} else {
		err = intercept(ctx, c, reach)
	}
	if err := s.pass(ctx, back); err != nil {
		return err
	}
	if c.Swap && s.loses() {
		return errAnswerLost
	}
	return err
}

// begin records a call and returns the faults that are set.
func (s *FaultyStore) begin(c StoreCall) (there, back time.Duration, f interception) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, c)
	if c.Swap {
		s.swaps++
		if s.keys == nil {
			s.keys = make(map[string]struct{})
		}
		s.keys[c.Key] = struct{}{}
	} else {
		s.gets++
	}
	return s.there, s.back, s.intercept
}

// pass waits for a delay, and then returns an error if s is down.
func (s *FaultyStore) pass(ctx context.Context, d time.Duration) error {
	if d > 0 {
		select {
		case <-time.After(d):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return s.failure()
}

func (s *FaultyStore) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return ErrStoreDown
	}
	return nil
}

// loses reports whether the answer to a Swap is lost.
func (s *FaultyStore) loses() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lose > 0 {
		s.lose--
		return true
	}
	return s.lose < 0
}

// shift returns a copy of a Coordinator's record whose times are later by d. They
// are the sixteen bytes behind the first: two times in Unix milliseconds, of which
// the second is 0 where it is not known. From the year 9999 on a time is none, which
// holds for all values that are text, too.
func shift(v []byte, d time.Duration) []byte {
	const none = 253402300799000
	if d == 0 || len(v) < 17 {
		return v
	}
	v = bytes.Clone(v)
	for _, field := range [][]byte{v[1:9], v[9:17]} {
		at := binary.BigEndian.Uint64(field)
		if at > 0 && at < none {
			binary.BigEndian.PutUint64(field, at+uint64(d.Milliseconds()))
		}
	}
	return v
}
