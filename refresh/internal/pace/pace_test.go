package pace_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/refresh/internal/pace"
)

// A watcher tells of changes, or panics or fails instead.
type watcher func() (<-chan struct{}, error)

func (w watcher) Watch(context.Context, string) (<-chan struct{}, func(), error) {
	changed, err := w()
	return changed, func() {}, err
}

func TestLooksWithoutAWord(t *testing.T) {
	for name, store := range map[string]any{
		"a store that tells nothing": nil,
		"one that fails to":          watcher(func() (<-chan struct{}, error) { return nil, errors.New("test") }),
		"one that panics":            watcher(func() (<-chan struct{}, error) { panic("test") }),
		"one that stops telling": watcher(func() (<-chan struct{}, error) {
			closed := make(chan struct{})
			close(closed)
			return closed, nil
		}),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				looks, stop := pace.Watch(t.Context(), store, "k")
				defer stop()
				begin, last := time.Now(), time.Now()
				n := 0
				for ; time.Since(begin) < 10*time.Second; n++ {
					if err := looks.Next(t.Context()); err != nil {
						t.Fatal(err)
					}
					if pause := time.Since(last); pause > max(5*time.Millisecond, last.Sub(begin)/10) || pause > pace.MaxPause {
						t.Fatalf("a pause of %v after %v", pause, last.Sub(begin))
					}
					last = time.Now()
				}
				if n > 100 {
					t.Errorf("%d looks in ten seconds", n)
				}
			})
		})
	}
}

func TestAWordCutsThePauseShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		changed := make(chan struct{}, 1)
		looks, stop := pace.Watch(t.Context(), watcher(func() (<-chan struct{}, error) { return changed, nil }), "k")
		defer stop()
		changed <- struct{}{}
		begin := time.Now()
		if err := looks.Next(t.Context()); err != nil || time.Since(begin) > 0 {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		gone := errors.New("test: gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(gone)
		if err := looks.Next(ctx); !errors.Is(err, gone) {
			t.Errorf("got %v, want the cause", err)
		}
	})
}

func TestRepetitionsAreWithinTheShortestGrace(t *testing.T) {
	different := make(map[time.Duration]bool)
	for i := range 100 {
		var all time.Duration
		for n := range pace.MaxAgain {
			pause := pace.AfterLostAnswer(n, strconv.Itoa(i))
			different[pause] = true
			all += pause
		}
		if all > 7*time.Second || all < 3500*time.Millisecond {
			t.Errorf("token %d: %v in all", i, all)
		}
	}
	if len(different) < 100 {
		t.Errorf("%d different pauses", len(different))
	}
}
