package refreshtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
)

// TestStore is the test that every [refresh.Store] must pass. It calls open for
// each of its parts. The stores may be one and the same, and need not be empty.
// The test runs in real time, and its values live for a second at most.
func TestStore(t *testing.T, open func() refresh.Store) {
	t.Helper()
	for _, part := range []struct {
		name string
		test func(*testing.T, store)
	}{
		{"a key that was never written is absent", testAbsent},
		{"a value is written where there is none", testInsert},
		{"a value is replaced only by who knows it", testReplace},
		{"a value is deleted only by who knows it", testDelete},
		{"mistakes of the caller are errors and change nothing", testMistakes},
		{"any bytes and sizes are kept", testBytes},
		{"slices are not shared with the caller", testCopies},
		{"an expired value is absent in every respect", testExpiry},
		{"a replaced value lives for its own time", testProlonged},
		{"one of many swaps at once wins", testRace},
		{"a context that has ended is an error", testEnded},
	} {
		t.Run(part.name, func(t *testing.T) {
			part.test(t, store{t, open(), "refreshtest." + rand.Text() + "."})
		})
	}
}

// A store is a Store with the operations of the parts, which use keys with a
// prefix of their own.
type store struct {
	t      *testing.T
	s      refresh.Store
	prefix string
}

func (s store) get(key string) []byte {
	s.t.Helper()
	v, err := s.s.Get(s.t.Context(), s.prefix+key)
	switch {
	case errors.Is(err, refresh.ErrNotFound):
		return nil
	case err != nil:
		s.t.Fatalf("Get: %v", err)
	case len(v) == 0:
		s.t.Fatal("Get returned an empty value and no error")
	}
	return v
}

func (s store) want(key, want string) {
	s.t.Helper()
	if got := s.get(key); string(got) != want {
		s.t.Fatalf("the value is %.100q, want %.100q", got, want)
	}
}

func (s store) swap(key, old, new string, ttl time.Duration, want bool) {
	s.t.Helper()
	got, err := s.s.Swap(s.t.Context(), s.prefix+key, value(old), value(new), ttl)
	if err != nil {
		s.t.Fatalf("Swap: %v", err)
	}
	if got != want {
		s.t.Fatalf("Swap from %.100q to %.100q reported %t, want %t", old, new, got, want)
	}
}

func value(s string) []byte {
	if s == "" {
		return nil
	}
	return []byte(s)
}

func testAbsent(t *testing.T, s store) {
	if v, err := s.s.Get(t.Context(), s.prefix+"k"); !errors.Is(err, refresh.ErrNotFound) || v != nil {
		t.Fatalf("Get = %q, %v, want nothing and an error that wraps ErrNotFound", v, err)
	}
}

func testInsert(_ *testing.T, s store) {
	s.swap("k", "", "one", time.Hour, true)
	s.want("k", "one")
	s.swap("k", "", "two", time.Hour, false)
	s.swap("k", "", "one", time.Hour, false)
	s.want("k", "one")
	s.want("another", "")
}

func testReplace(_ *testing.T, s store) {
	s.swap("k", "one", "two", time.Hour, false)
	s.want("k", "")
	s.swap("k", "", "one", time.Hour, true)
	s.swap("k", "on", "two", time.Hour, false)
	s.swap("k", "ONE", "two", time.Hour, false)
	s.swap("k", "one\x00", "two", time.Hour, false)
	s.want("k", "one")
	s.swap("k", "one", "two", time.Hour, true)
	s.want("k", "two")
	s.swap("k", "two", "two", time.Hour, true)
	s.want("k", "two")
}

func testDelete(_ *testing.T, s store) {
	s.swap("k", "one", "", 0, false)
	s.swap("k", "", "one", time.Hour, true)
	s.swap("k", "two", "", 0, false)
	s.want("k", "one")
	s.swap("k", "one", "", 0, true)
	s.want("k", "")
	s.swap("k", "", "two", time.Hour, true)
	s.swap("k", "two", "", time.Hour, true)
	s.want("k", "")
}

func testMistakes(t *testing.T, s store) {
	s.swap("k", "", "one", time.Hour, true)
	for _, c := range []struct {
		name     string
		old, new []byte
		ttl      time.Duration
	}{
		{"nothing to nothing", nil, nil, time.Hour},
		{"an empty slice is nothing", []byte{}, []byte{}, time.Hour},
		{"no lifetime", []byte("one"), []byte("two"), 0},
		{"a negative lifetime", []byte("one"), []byte("two"), -time.Second},
	} {
		if ok, err := s.s.Swap(t.Context(), s.prefix+"k", c.old, c.new, c.ttl); err == nil || ok {
			t.Errorf("%s: Swap = %t, %v, want false and an error", c.name, ok, err)
		}
	}
	s.want("k", "one")
	if ok, err := s.s.Swap(t.Context(), s.prefix+"k", []byte{}, []byte("two"), time.Hour); err != nil || ok {
		t.Errorf("an empty old: Swap = %t, %v, want false, as for nil", ok, err)
	}
	if ok, err := s.s.Swap(t.Context(), s.prefix+"k", []byte("one"), []byte{}, 0); err != nil || !ok {
		t.Errorf("an empty new: Swap = %t, %v, want true, as for nil", ok, err)
	}
	s.want("k", "")
}

func testBytes(_ *testing.T, s store) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for key, v := range map[string]string{
		"all":   string(all),
		"zero":  "\x00",
		"large": strings.Repeat(string(all), 256), // 64 KiB
		"long-key-" + strings.Repeat("k", 200-len(s.prefix)-len("long-key-")): "v",
	} {
		s.swap(key, "", v, time.Hour, true)
		s.want(key, v)
		s.swap(key, v, v, time.Hour, true)
		s.swap(key, v, "", 0, true)
	}
}

func testCopies(t *testing.T, s store) {
	v := []byte("value")
	if ok, err := s.s.Swap(t.Context(), s.prefix+"k", nil, v, time.Hour); err != nil || !ok {
		t.Fatalf("Swap = %t, %v", ok, err)
	}
	copy(v, "VALUE")
	s.want("k", "value")
	got := s.get("k")
	copy(got, "VALUE")
	s.want("k", "value")
	old := []byte("value")
	if _, err := s.s.Swap(t.Context(), s.prefix+"k", old, []byte("next"), time.Hour); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(old, []byte("value")) {
		t.Error("Swap changed the old value that it was given")
	}
}

func testExpiry(t *testing.T, s store) {
	const ttl = 50 * time.Millisecond
	begin := time.Now()
	s.swap("read", "", "one", ttl, true)
	s.swap("insert", "", "one", ttl, true)
	s.swap("replace", "", "one", ttl, true)
	s.swap("delete", "", "one", ttl, true)
	gone(t, s, "delete")
	if early := ttl - time.Since(begin); early > 10*time.Millisecond {
		t.Errorf("the value went %v too early", early)
	}
	s.want("read", "")
	s.swap("replace", "one", "two", time.Hour, false)
	s.swap("delete", "one", "", 0, false)
	s.swap("insert", "", "two", time.Hour, true)
	s.want("insert", "two")
}

func testProlonged(t *testing.T, s store) {
	s.swap("longer", "", "one", 50*time.Millisecond, true)
	s.swap("longer", "one", "two", time.Hour, true)
	s.swap("shorter", "", "one", time.Hour, true)
	s.swap("shorter", "one", "two", 100*time.Millisecond, true)
	gone(t, s, "shorter")
	s.want("longer", "two")
}

// gone waits until key is absent.
func gone(t *testing.T, s store, key string) {
	t.Helper()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for begin := time.Now(); s.get(key) != nil; <-again.C {
		if time.Since(begin) > 2*time.Second {
			t.Fatal("the value has not expired after 2 s")
		}
	}
}

func testRace(t *testing.T, s store) {
	const parallel = 100
	race := func(old string) {
		t.Helper()
		var won atomic.Int32
		var winner atomic.Pointer[string]
		var wg sync.WaitGroup
		for range parallel {
			wg.Go(func() {
				mine := rand.Text()
				ok, err := s.s.Swap(t.Context(), s.prefix+"k", value(old), value(mine), time.Hour)
				if err != nil {
					t.Errorf("Swap: %v", err)
				}
				if ok {
					won.Add(1)
					winner.Store(&mine)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Fatalf("%d of %d swaps won, want 1", won.Load(), parallel)
		}
		s.want("k", *winner.Load())
	}
	race("")
	race(string(s.get("k")))

	var deleted atomic.Int32
	var wg sync.WaitGroup
	old := s.get("k")
	for range parallel {
		wg.Go(func() {
			ok, err := s.s.Swap(t.Context(), s.prefix+"k", old, nil, 0)
			if err != nil {
				t.Errorf("Swap: %v", err)
			}
			if ok {
				deleted.Add(1)
			}
		})
	}
	wg.Wait()
	if deleted.Load() != 1 {
		t.Fatalf("%d of %d deletions won, want 1", deleted.Load(), parallel)
	}
}

func testEnded(t *testing.T, s store) {
	s.swap("k", "", "one", time.Hour, true)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.s.Get(ctx, s.prefix+"k"); err == nil || errors.Is(err, refresh.ErrNotFound) {
		t.Errorf("Get = %v, want an error other than ErrNotFound", err)
	}
	if ok, err := s.s.Swap(ctx, s.prefix+"k", []byte("one"), []byte("two"), time.Hour); err == nil || ok {
		t.Errorf("Swap = %t, %v, want false and an error", ok, err)
	}
}
