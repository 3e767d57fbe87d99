// Package pace says how often a value in a Store is looked at by those who wait
// for it to change, and when a provider is asked again whose answer was lost.
package pace

import (
	"context"
	"crypto/sha256"
	"time"
)

// MaxPause is the longest time between two looks.
const MaxPause = 250 * time.Millisecond

// Looks are the looks at one value. They are for one goroutine.
type Looks struct {
	changed <-chan struct{} // nil: the Store does not tell of changes
	begin   time.Time
}

// Watch returns the Looks at the value under key, and a function that ends them
// and must be called. A store that is a refresh.Watcher is asked to tell of
// changes. If that fails, or panics, the Looks go on without it.
func Watch(ctx context.Context, store any, key string) (looks *Looks, stop func()) {
	looks, stop = &Looks{begin: time.Now()}, func() {}
	w, ok := store.(interface {
		Watch(ctx context.Context, key string) (<-chan struct{}, func(), error)
	})
	if !ok {
		return looks, stop
	}
	defer func() { _ = recover() }()
	if changed, end, err := w.Watch(ctx, key); err == nil {
		looks.changed, stop = changed, end
	}
	return looks, stop
}

// Next returns when the value is to be looked at again, or with the cause of ctx
// when that ends. The pauses are long enough to spare the Store, and make a wait
// longer by a tenth at most, or by 5 ms.
func (l *Looks) Next(ctx context.Context) error {
	pause := min(max(5*time.Millisecond, time.Since(l.begin)/10), MaxPause)
	select {
	case _, open := <-l.changed:
		if !open {
			l.changed = nil
		}
	case <-time.After(pause):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// afterLostAnswer are the pauses before a provider is asked again. Together they
// are less than ten seconds, the shortest grace for an exchanged token that
// providers recommend.
var afterLostAnswer = [...]time.Duration{time.Second, 2 * time.Second, 4 * time.Second}

// MaxAgain is how often a provider is asked again.
const MaxAgain = len(afterLostAnswer)

// AfterLostAnswer returns the pause before a provider is asked again with a
// token, after n earlier repetitions, of which there must be fewer than MaxAgain.
// It is shorter by up to a half, by another part for each token, so that they
// are not all asked with at once.
func AfterLostAnswer(n int, token string) time.Duration {
	pause := afterLostAnswer[n]
	return pause - pause/2*time.Duration(sha256.Sum256([]byte(token))[0])/256
}
