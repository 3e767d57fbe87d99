package refreshtest_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	_ "github.com/tokenlife/tokenlife/internal/race"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

func TestAFaultyStoreWithoutFaultsPasses(t *testing.T) {
	refreshtest.TestStore(t, func() refresh.Store { return new(refreshtest.FaultyStore) })
	refreshtest.TestStore(t, func() refresh.Store {
		skewed := &refreshtest.FaultyStore{Skew: time.Hour}
		return &refreshtest.FaultyStore{Store: skewed, Skew: -time.Hour}
	})
}

// holds returns what stands under key, or "".
func holds(t *testing.T, s refresh.Store, key string) string {
	t.Helper()
	v, err := s.Get(t.Context(), key)
	if err != nil && !errors.Is(err, refresh.ErrNotFound) {
		t.Fatal(err)
	}
	return string(v)
}

func put(ctx context.Context, s refresh.Store, key, value string) error {
	done, err := s.Swap(ctx, key, nil, []byte(value), time.Hour)
	if err == nil && !done {
		err = errors.New("there was a value")
	}
	return err
}

func TestAFaultyStoreThatIsDown(t *testing.T) {
	store := new(refresh.MemoryStore)
	well, cut := &refreshtest.FaultyStore{Store: store}, &refreshtest.FaultyStore{Store: store}
	cut.SetDown(true)
	if err := put(t.Context(), cut, "k", "v"); !errors.Is(err, refreshtest.ErrStoreDown) {
		t.Errorf("Swap: %v", err)
	}
	if _, err := cut.Get(t.Context(), "k"); !errors.Is(err, refreshtest.ErrStoreDown) {
		t.Errorf("Get: %v", err)
	}
	if err := put(t.Context(), well, "k", "other"); err != nil {
		t.Errorf("at another replica: %v", err)
	}
	cut.SetDown(false)
	if got := holds(t, cut, "k"); got != "other" {
		t.Errorf("up again, it holds %q", got)
	}
	if gets, swaps := cut.Count(); gets != 2 || swaps != 1 {
		t.Errorf("%d gets and %d swaps, want 2 and 1", gets, swaps)
	}
}

func TestAFaultyStoreThatIsSlow(t *testing.T) {
	for _, tt := range []struct {
		name        string
		there, back time.Duration
		patience    time.Duration
		down        time.Duration // after which it is down
		happens     bool
		err         error
	}{
		{"it has time", time.Second, time.Second, time.Minute, time.Hour, true, nil},
		{"the caller leaves on the way there", time.Second, time.Second, time.Second / 2, time.Hour, false, context.DeadlineExceeded},
		{"the caller leaves on the way back", time.Second, time.Second, 3 * time.Second / 2, time.Hour, true, context.DeadlineExceeded},
		{"it goes down on the way there", time.Second, time.Second, time.Minute, time.Second / 2, false, refreshtest.ErrStoreDown},
		{"it goes down on the way back", time.Second, time.Second, time.Minute, 3 * time.Second / 2, true, refreshtest.ErrStoreDown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := new(refreshtest.FaultyStore)
				store.SetDelay(tt.there, tt.back)
				defer time.AfterFunc(tt.down, func() { store.SetDown(true) }).Stop()
				ctx, cancel := context.WithTimeout(t.Context(), tt.patience)
				defer cancel()
				begin := time.Now()
				if err := put(ctx, store, "k", "v"); !errors.Is(err, tt.err) {
					t.Errorf("got %v, want %v", err, tt.err)
				}
				if took := time.Since(begin); took > tt.there+tt.back || took > tt.patience {
					t.Errorf("it took %v", took)
				}
				store.SetDelay(0, 0)
				store.SetDown(false)
				if happened := holds(t, store, "k") == "v"; happened != tt.happens {
					t.Errorf("it has happened: %t", happened)
				}
			})
		})
	}
}

func TestAFaultyStoreThatLosesAnswers(t *testing.T) {
	store := new(refreshtest.FaultyStore)
	store.LoseAnswers(2)
	for i := range 3 {
		key := fmt.Sprint(i)
		err := put(t.Context(), store, key, "v")
		if lost := errors.Is(err, refreshtest.ErrStoreDown); lost != (i < 2) {
			t.Errorf("write %d: %v", i, err)
		}
		if got := holds(t, store, key); got != "v" {
			t.Errorf("write %d has not happened", i)
		}
	}
	store.LoseAnswers(-1)
	for i := range 3 {
		if err := put(t.Context(), store, fmt.Sprint("later ", i), "v"); !errors.Is(err, refreshtest.ErrStoreDown) {
			t.Errorf("all answers are lost, but not that to write %d: %v", i, err)
		}
	}
}

func TestAFaultyStoreThatForgets(t *testing.T) {
	store := new(refreshtest.FaultyStore)
	keys := []string{"a.1", "a.2", "b.1"}
	for _, key := range keys {
		if err := put(t.Context(), store, key, key); err != nil {
			t.Fatal(err)
		}
	}
	held := func() (all string) {
		for _, key := range keys {
			all += holds(t, store, key)
		}
		return all
	}
	for _, tt := range []struct{ prefix, left string }{{"c", "a.1a.2b.1"}, {"a.", "b.1"}, {"", ""}, {"", ""}} {
		if err := store.Forget(tt.prefix); err != nil {
			t.Fatal(err)
		}
		if got := held(); got != tt.left {
			t.Errorf("Forget(%q) leaves %q, want %q", tt.prefix, got, tt.left)
		}
	}
}

func TestAFaultyStoreThatIsIntercepted(t *testing.T) {
	store, errTest := new(refreshtest.FaultyStore), errors.New("test")
	var found []bool
	store.Intercept(func(_ context.Context, c refreshtest.StoreCall, do func() (bool, error)) error {
		switch {
		case strings.HasPrefix(c.Key, "before."):
			return errTest
		case strings.HasPrefix(c.Key, "never."):
			return nil
		}
		done, err := do()
		found = append(found, done)
		if strings.HasPrefix(c.Key, "after.") {
			return errTest
		}
		return err
	})
	for _, tt := range []struct {
		key     string
		err     error
		happens bool
	}{
		{"before.k", errTest, false},
		{"after.k", errTest, true},
		{"plain.k", nil, true},
	} {
		if err := put(t.Context(), store, tt.key, "v"); !errors.Is(err, tt.err) {
			t.Errorf("%s: Swap gives %v, want %v", tt.key, err, tt.err)
		}
		if _, err := store.Get(t.Context(), tt.key); !errors.Is(err, tt.err) {
			t.Errorf("%s: Get gives %v, want %v", tt.key, err, tt.err)
		}
	}
	if _, err := store.Get(t.Context(), "plain.other"); !errors.Is(err, refresh.ErrNotFound) {
		t.Errorf("Get of nothing gives %v", err)
	}
	if done, err := store.Swap(t.Context(), "never.k", nil, []byte("v"), time.Hour); done || err != nil {
		t.Errorf("a Swap that was not made: %t, %v", done, err)
	}
	if _, err := store.Get(t.Context(), "never.k"); !errors.Is(err, refresh.ErrNotFound) {
		t.Errorf("a Get that was not made: %v", err)
	}
	if got := fmt.Sprint(found); got != "[true true true true false]" {
		t.Errorf("do reported %s", got)
	}
	store.Intercept(nil)
	if got := holds(t, store, "before.k") + holds(t, store, "after.k") + holds(t, store, "never.k"); got != "v" {
		t.Errorf("it holds %q, want what was made alone", got)
	}
}

func TestAFaultyStoreTellsOfItsCalls(t *testing.T) {
	store := new(refreshtest.FaultyStore)
	value := []byte("v")
	if _, err := store.Swap(t.Context(), "k", nil, value, time.Hour); err != nil {
		t.Fatal(err)
	}
	copy(value, "w") // the caller's own again
	store.SetDown(true)
	_, _ = store.Get(t.Context(), "k")
	_, _ = store.Swap(t.Context(), "k", []byte("v"), nil, 0)
	if got, want := fmt.Sprint(store.Calls()), fmt.Sprint([]refreshtest.StoreCall{
		{Swap: true, Key: "k", New: []byte("v"), TTL: time.Hour},
		{Key: "k"},
		{Swap: true, Key: "k", Old: []byte("v")},
	}); got != want {
		t.Errorf("calls are %v, want %v", got, want)
	}
	if gets, swaps := store.Count(); gets != 1 || swaps != 2 {
		t.Errorf("%d gets and %d swaps", gets, swaps)
	}
}

func TestAFaultyStoreWhoseClockIsAhead(t *testing.T) {
	record := func(times ...time.Time) []byte {
		r := []byte{'r'}
		for _, at := range times {
			r = binary.BigEndian.AppendUint64(r, uint64(at.UnixMilli()))
		}
		return append(r, "rest"...)
	}
	unknown := time.UnixMilli(0)
	now := time.Now()
	never := time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	for _, skew := range []time.Duration{14 * time.Second, -14 * time.Second} {
		store := new(refresh.MemoryStore)
		ahead := &refreshtest.FaultyStore{Store: store, Skew: skew}
		for name, tt := range map[string]struct{ own, others []byte }{
			"a record":                {record(now.Add(skew), now), record(now.Add(2*skew), now.Add(skew))},
			"a record without a time": {record(never, unknown), record(never, unknown)},
			"text":                    {[]byte("refresh.0123456789"), []byte("refresh.0123456789")},
			"a short value":           {[]byte("\x00"), []byte("\x00")},
		} {
			before := bytes.Clone(tt.own)
			if done, err := ahead.Swap(t.Context(), name, nil, tt.own, time.Hour); !done || err != nil {
				t.Fatal(done, err)
			}
			if got := holds(t, store, name); got != string(tt.others) {
				t.Errorf("%v, %s: the others read %q, want %q", skew, name, got, tt.others)
			}
			if got := holds(t, ahead, name); got != string(before) || !bytes.Equal(tt.own, before) {
				t.Errorf("%v, %s: it reads %q, want what it wrote", skew, name, got)
			}
			if done, err := ahead.Swap(t.Context(), name, tt.own, []byte("new"), time.Hour); !done || err != nil {
				t.Errorf("%v, %s: what it has read is not what stands there: %v", skew, name, err)
			}
		}
	}
}

// telling is a Store that can be watched.
type telling struct {
	refresh.MemoryStore
	changed chan struct{}
}

func (s *telling) Watch(context.Context, string) (<-chan struct{}, func(), error) {
	return s.changed, func() {}, nil
}

func TestAFaultyStoreCanBeWatchedIfItsStoreCan(t *testing.T) {
	if _, _, err := new(refreshtest.FaultyStore).Watch(t.Context(), "k"); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("over a store that cannot: %v", err)
	}
	inner := &telling{changed: make(chan struct{})}
	store := &refreshtest.FaultyStore{Store: inner}
	if changed, _, err := store.Watch(t.Context(), "k"); err != nil || changed != inner.changed {
		t.Errorf("over one that can: %v", err)
	}
	store.SetDown(true)
	if _, _, err := store.Watch(t.Context(), "k"); !errors.Is(err, refreshtest.ErrStoreDown) {
		t.Errorf("while it is down: %v", err)
	}
}

// For the race detector: everything at once.
func TestAFaultyStoreIsSetWhileInUse(t *testing.T) {
	store := new(refreshtest.FaultyStore)
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() { _ = put(t.Context(), store, fmt.Sprint("k", i%5), "v") })
		wg.Go(func() { _, _ = store.Get(t.Context(), fmt.Sprint("k", i%5)) })
		wg.Go(func() { store.SetDown(i%2 == 0) })
		wg.Go(func() { store.SetDelay(time.Duration(i%2), time.Duration(i%2)) })
		wg.Go(func() { store.LoseAnswers(i % 2) })
		wg.Go(func() {
			store.Intercept(func(_ context.Context, _ refreshtest.StoreCall, do func() (bool, error)) error {
				_, err := do()
				return err
			})
		})
		wg.Go(func() { store.Calls(); store.Count() })
		wg.Go(func() {
			if err := store.Forget("k"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if gets, swaps := store.Count(); gets != 50 || swaps != 50 || len(store.Calls()) != 100 {
		t.Errorf("%d gets, %d swaps and %d calls, want 50, 50 and 100", gets, swaps, len(store.Calls()))
	}
}

// A replica does not learn that its write of a claim has happened. It asks the
// provider all the same, and the other replica gets what it was given.
func ExampleFaultyStore() {
	provider := new(refreshtest.Provider)
	client := &refresh.OAuth2{ClientID: "client", TokenURL: provider.URL("/token"), Client: provider.Client()}
	login := provider.Login("alice")

	shared := new(refresh.MemoryStore)
	store := &refreshtest.FaultyStore{Store: shared}
	first := &refresh.Coordinator{Refresher: client, Store: store}
	second := &refresh.Coordinator{Refresher: client, Store: shared}

	store.LoseAnswers(1)
	one, err := first.Refresh(context.Background(), login)
	fmt.Println("first:", err)
	two, err := second.Refresh(context.Background(), login)
	fmt.Println("second:", err)
	fmt.Println("the same:", one.Refresh == two.Refresh, "calls:", provider.Stats().Calls)
	// Output:
	// first: <nil>
	// second: <nil>
	// the same: true calls: 1
}
