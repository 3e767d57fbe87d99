package refresh_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

func ExampleMemoryStore() {
	var store refresh.MemoryStore
	ctx := context.Background()
	first, _ := store.Swap(ctx, "lock", nil, []byte("me"), time.Minute)
	second, _ := store.Swap(ctx, "lock", nil, []byte("you"), time.Minute)
	value, _ := store.Get(ctx, "lock")
	fmt.Printf("%t %t %s\n", first, second, value)
	// Output: true false me
}

func TestMemoryStoreIsAStore(t *testing.T) {
	refreshtest.TestStore(t, func() refresh.Store { return new(refresh.MemoryStore) })
}

func TestMemoryStoreDropsTheOldestWhenItIsFull(t *testing.T) {
	store := &refresh.MemoryStore{Max: 3}
	for i := range 4 {
		put(t, store, strconv.Itoa(i), nil, time.Hour)
		// Reading is not writing: it keeps nothing from going.
		if _, err := store.Get(t.Context(), "0"); i < 3 && err != nil {
			t.Fatal(err)
		}
	}
	put(t, store, "1", []byte("v"), time.Hour) // the oldest now, written again
	put(t, store, "4", nil, time.Hour)
	for key, want := range map[string]bool{"0": false, "1": true, "2": false, "3": true, "4": true} {
		_, err := store.Get(t.Context(), key)
		if got := !errors.Is(err, refresh.ErrNotFound); got != want {
			t.Errorf("%s is there: %t, want %t", key, got, want)
		}
	}
}

func TestMemoryStoreExpiresToTheNanosecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(refresh.MemoryStore)
		put(t, store, "k", nil, time.Minute)
		time.Sleep(time.Minute - 1)
		if _, err := store.Get(t.Context(), "k"); err != nil {
			t.Errorf("just before its end: %v", err)
		}
		time.Sleep(time.Nanosecond)
		if _, err := store.Get(t.Context(), "k"); !errors.Is(err, refresh.ErrNotFound) {
			t.Errorf("at its end: %v", err)
		}
	})
}

func TestMemoryStoreWithANegativeSizeIsAnError(t *testing.T) {
	store := &refresh.MemoryStore{Max: -1}
	if ok, err := store.Swap(t.Context(), "k", nil, []byte("v"), time.Hour); ok || err == nil {
		t.Errorf("Swap = %t, %v, want an error", ok, err)
	}
}

func put(t *testing.T, store refresh.Store, key string, old []byte, ttl time.Duration) {
	t.Helper()
	if ok, err := store.Swap(t.Context(), key, old, []byte("v"), ttl); err != nil || !ok {
		t.Fatalf("Swap = %t, %v", ok, err)
	}
}
