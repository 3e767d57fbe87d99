package refresh

import (
	"context"
	"errors"
	"time"
)

// ErrNotFound is what [Store.Get] answers for a key that holds no value.
var ErrNotFound = errors.New("refresh: not found in the store")

// A Store keeps small values that expire. Replicas that share one agree on
// what a refresh gave, so that a provider sees each refresh token once.
//
// Keys are printable ASCII of at most 200 bytes; values are bytes of any kind,
// at most 64 KiB. A value is never empty: where a value is asked for, an empty
// slice means the same as nil. An expired value is absent in every respect. A
// Store neither changes nor keeps the slices that it is given, and what it
// returns belongs to the caller. A lifetime counts in milliseconds or finer
// and is never rounded to nothing.
//
// Both methods are called from many goroutines at once and stop waiting when
// ctx ends. An error other than ErrNotFound means that the store could not
// tell: a Swap that returns one may have happened.
//
// The package refreshtest has the test that an implementation must pass.
type Store interface {
	// Get returns the value under key, or an error that wraps ErrNotFound.
	Get(ctx context.Context, key string) ([]byte, error)

	// Swap replaces the value under key by new if it is old, byte for byte, in
	// one atomic step, and reports whether it did. A nil old means that there
	// must be no value yet; a nil new deletes. The new value lives for ttl,
	// which must be positive; a deletion does not look at it. Old and new both
	// nil are a mistake of the caller, and an error.
	Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error)
}

// A Watcher is a [Store] that can tell of changes, so that who waits for one
// need not look again and again.
type Watcher interface {
	// Watch returns a channel that receives, or is closed, soon after the value
	// under key has changed, and a function that ends the watch and must be
	// called. It is a hint: a change may go untold, and who waits looks by
	// itself once in a while.
	Watch(ctx context.Context, key string) (changed <-chan struct{}, stop func(), err error)
}
