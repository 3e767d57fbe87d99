package refresh

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"time"
)

// ErrNotFound is the error of [Store.Get] for a key that has no value.
var ErrNotFound = errors.New("refresh: not found in the store")

// A Store keeps small values that expire. Replicas that share one also share
// the result of a refresh, so that a provider sees each refresh token once.
//
// Keys are printable ASCII of at most 200 bytes; values are bytes of any kind,
// at most 64 KiB. A value is never empty: an argument that is an empty slice
// means the same as nil. An expired value is absent in every respect. A Store
// neither changes nor keeps the slices that it is given, and what it returns
// belongs to the caller. Lifetimes have a resolution of a millisecond or finer,
// and are never rounded to zero.
//
// Both methods are called from many goroutines at once and stop waiting when
// ctx ends. An error other than ErrNotFound is a failure of the store. A Swap
// that returns one may have been carried out.
//
// The package refreshtest has the test that an implementation must pass.
type Store interface {
	// Get returns the value under key, or an error that wraps ErrNotFound.
	Get(ctx context.Context, key string) ([]byte, error)

	// Swap replaces the value under key by new if it is old, byte for byte, in
	// one atomic step, and reports whether it did. A nil old means that there
	// must be no value yet; a nil new deletes the value. The new value lives
	// for ttl, which must be positive; a deletion ignores ttl. It is an error
	// if both old and new are nil.
	Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error)
}

// A Watcher is a [Store] that reports changes, so that a caller who waits for
// one need not poll.
type Watcher interface {
	// Watch returns a channel that receives, or is closed, soon after the value
	// under key has changed, and a function that ends the watch and must be
	// called. A change may go unreported, so callers also look from time to
	// time.
	Watch(ctx context.Context, key string) (changed <-chan struct{}, stop func(), err error)
}

// StoreKey returns the key of a [Store] for a value of a kind, which parts
// identify. The key is the kind, for people who look into the store, and a
// SHA-256 hash of kind and parts, so that it holds no token and no name of a
// user. Parts do not run together: ("ab", "c") and ("a", "bc") have different
// keys.
//
// The kind is a constant of the program: printable ASCII of at most 100 bytes.
// StoreKey panics if it is not.
func StoreKey(kind string, parts ...string) string {
	if len(kind) > maxKind {
		panic("refresh: StoreKey with a kind of more than 100 bytes")
	}
	for i := range len(kind) {
		if kind[i] <= ' ' || kind[i] > '~' {
			panic("refresh: StoreKey with a kind that is not printable ASCII")
		}
	}
	h := sha256.New()
	for _, part := range append([]string{"tokenlife store key", kind}, parts...) {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		h.Write([]byte(part))
	}
	return kind + "." + base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

const (
	maxKind = 100 // with a hash, less than a key of a Store may have

	updateTries    = 64
	maxUpdatePause = 64 * time.Millisecond
)

// errContended is temporary.
var errContended = errors.New("refresh: a value in the store is being changed by too many at once")

// Update replaces the value under key by what change makes of it.
//
// Change gets the value, nil where there is none, and returns the one to put in
// its place with its lifetime:
//
//   - nil deletes the value,
//   - old with a lifetime of 0 leaves it, and nothing is written,
//   - old with another lifetime gives it that one.
//
// Change is called again with the newer value if somebody else has replaced it
// meanwhile, so it should have no effect but its results. The newer value may
// build on the result of an earlier call of change: a write can succeed
// although its answer is lost.
//
// An error of change ends the update and is returned as it is. So is an error
// of the store; the value may have been replaced then. If a write returns an
// error, Update reads the value, and succeeds if it is the new one.
//
// Update makes 64 tries, with pauses of up to 96 ms between them, a few seconds
// in all. If others come first each time, its error is temporary: it wraps
// neither [ErrNotFound] nor [ErrDenied].
func Update(ctx context.Context, s Store, key string, change func(old []byte) (new []byte, ttl time.Duration, err error)) error {
	return update(ctx, s, key, nil, change)
}

// update is Update for a caller that has read the value before: known is what
// it has read, and then what was read last. A nil known is a value to be read.
func update(ctx context.Context, s Store, key string, known *[]byte, change func(old []byte) (new []byte, ttl time.Duration, err error)) error {
	pause := time.Millisecond
	for n := range updateTries {
		var old []byte
		if n == 0 && known != nil {
			old = *known
		} else {
			v, err := s.Get(ctx, key)
			switch {
			case err == nil:
				old = v
			case !errors.Is(err, ErrNotFound):
				return err
			}
			if known != nil {
				*known = old
			}
		}
		new, ttl, err := change(old)
		if err != nil || bytes.Equal(old, new) && (ttl == 0 || len(new) == 0) {
			return err
		}
		done, err := s.Swap(ctx, key, old, new, ttl)
		if err != nil {
			done, err = lookAgain(ctx, s, key, old, new, err)
		}
		if done || err != nil {
			return err
		}
		if n == 0 && known != nil {
			continue // it was read long ago
		}
		select {
		case <-time.After(pause/2 + rand.N(pause)):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		pause = min(2*pause, maxUpdatePause)
	}
	return errContended
}

// lookAgain is called after a Swap that has failed. It reports whether new is
// under key all the same. It returns the error of Swap if the value is still
// old or cannot be read, and no error if there is a third value.
func lookAgain(ctx context.Context, s Store, key string, old, new []byte, failed error) (done bool, err error) {
	now, err := s.Get(ctx, key)
	switch {
	case errors.Is(err, ErrNotFound):
		now = nil
	case err != nil:
		return false, failed
	}
	if bytes.Equal(now, old) {
		return false, failed
	}
	return bytes.Equal(now, new), nil
}
