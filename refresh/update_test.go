package refresh_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
)

// A rival is a store in which others are first: before each Swap, put is called.
type rival struct {
	refresh.MemoryStore
	put         func(s *refresh.MemoryStore)
	lose        error // the answer to the first Swap
	down        error // all Gets after it
	gets, swaps int
}

func (s *rival) Get(ctx context.Context, key string) ([]byte, error) {
	s.gets++
	if s.swaps > 0 && s.down != nil {
		return nil, s.down
	}
	return s.MemoryStore.Get(ctx, key)
}

func (s *rival) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	s.swaps++
	if s.put != nil {
		s.put(&s.MemoryStore)
	}
	done, err := s.MemoryStore.Swap(ctx, key, old, new, ttl)
	if lost := s.lose; lost != nil {
		s.lose = nil
		return false, lost
	}
	return done, err
}

func appended(old []byte) ([]byte, time.Duration, error) {
	return append([]byte(string(old)), '+'), time.Hour, nil
}

func held(t *testing.T, s *refresh.MemoryStore) string {
	t.Helper()
	v, err := s.Get(t.Context(), "k")
	if err != nil && !errors.Is(err, refresh.ErrNotFound) {
		t.Fatal(err)
	}
	return string(v)
}

func replace(t *testing.T, s *refresh.MemoryStore, old, new string) {
	t.Helper()
	if ok, err := s.Swap(t.Context(), "k", []byte(old), []byte(new), time.Hour); !ok || err != nil {
		t.Fatal(ok, err)
	}
}

func TestUpdate(t *testing.T) {
	trouble := errors.New("trouble")
	for _, tt := range []struct {
		name   string
		begin  string
		change func(old []byte) ([]byte, time.Duration, error)
		want   string
		err    error
		swaps  int
	}{
		{"a value where there is none", "", appended, "+", nil, 1},
		{"a value that is replaced", "a", appended, "a+", nil, 1},
		{"nil deletes", "a", func([]byte) ([]byte, time.Duration, error) { return nil, 0, nil }, "", nil, 1},
		{"nothing to delete", "", func([]byte) ([]byte, time.Duration, error) { return nil, time.Hour, nil }, "", nil, 0},
		{"the same is not written", "a", func(old []byte) ([]byte, time.Duration, error) { return old, 0, nil }, "a", nil, 0},
		{"the same gets another life", "a", func(old []byte) ([]byte, time.Duration, error) { return old, time.Minute, nil }, "a", nil, 1},
		{"an error of change", "a", func(old []byte) ([]byte, time.Duration, error) { return []byte("b"), time.Hour, trouble }, "a", trouble, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := new(rival)
			if tt.begin != "" {
				replace(t, &s.MemoryStore, "", tt.begin)
			}
			err := refresh.Update(t.Context(), s, "k", func(old []byte) ([]byte, time.Duration, error) {
				if string(old) != tt.begin || tt.begin == "" && old != nil {
					t.Errorf("change is given %q", old)
				}
				return tt.change(old)
			})
			if err != tt.err || held(t, &s.MemoryStore) != tt.want || s.swaps != tt.swaps {
				t.Errorf("%v, %q, %d swaps", err, held(t, &s.MemoryStore), s.swaps)
			}
		})
	}
}

func TestUpdateGivesAValueAnotherLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(refresh.MemoryStore)
		replace(t, s, "", "a")
		err := refresh.Update(t.Context(), s, "k", func(old []byte) ([]byte, time.Duration, error) { return old, time.Minute, nil })
		<-time.After(time.Minute)
		if err != nil || held(t, s) != "" {
			t.Errorf("%v; after its new life there is %q", err, held(t, s))
		}
	})
}

func TestUpdateLooksForAWriteWhoseAnswerWasLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := errors.New("lost")
		for _, tt := range []struct {
			name  string
			store *rival
			want  string
			err   error
		}{
			{"it has happened", &rival{lose: lost}, "a+", nil},
			{"it cannot be told", &rival{lose: lost, down: errors.New("down")}, "a+", lost},
			{"others have come first", &rival{lose: lost, put: func(s *refresh.MemoryStore) {
				if held(t, s) == "a" {
					replace(t, s, "a", "b")
				}
			}}, "b+", nil},
		} {
			replace(t, &tt.store.MemoryStore, "", "a")
			err := refresh.Update(t.Context(), tt.store, "k", appended)
			if err != tt.err || held(t, &tt.store.MemoryStore) != tt.want {
				t.Errorf("%s: %v, %q", tt.name, err, held(t, &tt.store.MemoryStore))
			}
		}
	})
}

func TestUpdateIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		first := func(s *refresh.MemoryStore) {
			n++
			replace(t, s, held(t, s), strconv.Itoa(n))
		}
		begin, s := time.Now(), &rival{put: first}
		err := refresh.Update(t.Context(), s, "k", appended)
		took := time.Since(begin)
		if err == nil || errors.Is(err, refresh.ErrNotFound) || errors.Is(err, refresh.ErrDenied) || !strings.HasPrefix(err.Error(), "refresh: ") {
			t.Errorf("error is %v, want one that is temporary", err)
		}
		if s.swaps != 64 || took < time.Second || took > 7*time.Second {
			t.Errorf("%d tries in %v", s.swaps, took)
		}
		gone := errors.New("gone")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, gone)
		defer cancel()
		if err := refresh.Update(ctx, &rival{put: first}, "k", appended); err != gone {
			t.Errorf("at the end of its time: %v", err)
		}
	})
}

func TestUpdatesAtTheSameTimeAreAllMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(refresh.MemoryStore)
		var wg sync.WaitGroup
		for range 300 {
			wg.Go(func() {
				if err := refresh.Update(t.Context(), s, "k", appended); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := len(held(t, s)); got != 300 {
			t.Errorf("%d of 300 updates were made", got)
		}
	})
}

func TestStoreKey(t *testing.T) {
	seen := make(map[string]bool)
	for _, key := range []string{
		refresh.StoreKey("kind"),
		refresh.StoreKey("kind", ""),
		refresh.StoreKey("kind", "", ""),
		refresh.StoreKey("kind", "ab", "c"),
		refresh.StoreKey("kind", "a", "bc"),
		refresh.StoreKey("kind", "abc"),
		refresh.StoreKey("kind", "ab\x00c"),
		refresh.StoreKey("kind", strings.Repeat("a", 1<<20)),
		refresh.StoreKey("kinds", "ab", "c"),
		refresh.StoreKey(strings.Repeat("k", 100), "ab", "c"),
	} {
		if seen[key] || len(key) > 200 || strings.Trim(key, ".ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			t.Errorf("%q", key)
		}
		seen[key] = true
	}
	if a, b := refresh.StoreKey("kind", "a"), refresh.StoreKey("kind", "a"); a != b || !strings.HasPrefix(a, "kind.") {
		t.Errorf("%q, %q", a, b)
	}
	for _, kind := range []string{"a kind", "k\n", "ü", strings.Repeat("k", 101)} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q is a kind", kind)
				}
			}()
			refresh.StoreKey(kind)
		}()
	}
}
