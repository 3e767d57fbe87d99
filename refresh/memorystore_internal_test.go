package refresh

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

func TestMemoryStoreFreesWhatHasExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(MemoryStore)
		put := func(key string, ttl time.Duration) {
			t.Helper()
			if ok, err := store.Swap(t.Context(), key, nil, []byte("v"), ttl); err != nil || !ok {
				t.Fatalf("Swap = %t, %v", ok, err)
			}
		}
		put("long", time.Hour)
		for i := range 1000 {
			put(strconv.Itoa(i), time.Second)
		}
		time.Sleep(sweepEvery)
		put("another", time.Hour)
		if n := store.values.Len(); n != 2 {
			t.Errorf("%d values are held, want the 2 that live", n)
		}
	})
}
