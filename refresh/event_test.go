package refresh_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/event"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// log keeps events as lines, without their times and errors.
type log struct {
	mu    sync.Mutex
	lines []string
}

func (l *log) observe(ctx context.Context, e event.Event) {
	var line bytes.Buffer
	slog.New(slog.NewTextHandler(&line, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "error" {
				return slog.Attr{}
			}
			return a
		},
	})).LogAttrs(ctx, e.Level, string(e.Kind), slog.Any("", e))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, strings.TrimSpace(line.String()))
}

func (l *log) want(t *testing.T, lines ...string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Equal(l.lines, lines) {
		t.Errorf("told\n%s\nwant\n%s", strings.Join(l.lines, "\n"), strings.Join(lines, "\n"))
	}
	l.lines = nil
}

// askTogether has n callers ask at once with the same tokens.
func askTogether(t *testing.T, c *refresh.Coordinator, n int) {
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() { _, _ = c.Refresh(t.Context(), start("u")) })
	}
	wg.Wait()
	synctest.Wait()
}

func TestARememberedAnswerIsNoEvent(t *testing.T) {
	coordinated(t, func(t *testing.T, c *refresh.Coordinator) {
		l := new(log)
		c.Refresher = &strict{delay: 50 * time.Millisecond}
		c.Observe = l.observe
		askTogether(t, c, 20)
		l.want(t, "level=DEBUG msg=provider_called outcome=exchanged waiters=20 took_ms=50")
		askTogether(t, c, 20)
		l.want(t)
	})
}

func TestEventsTellWhatACallHasComeTo(t *testing.T) {
	coordinated(t, func(t *testing.T, c *refresh.Coordinator) {
		l := new(log)
		p := &strict{delay: 50 * time.Millisecond}
		c.Refresher, c.Observe = p, l.observe
		askTogether(t, c, 20)
		l.want(t, "level=DEBUG msg=provider_called outcome=exchanged waiters=20 took_ms=50")

		fail := func(err error) { p.fail.Store(&err) }
		fail(errors.New("test: down"))
		_, _ = c.Refresh(t.Context(), start("v"))
		synctest.Wait()
		l.want(t, "level=WARN msg=provider_called outcome=failed waiters=1 took_ms=50")

		fail(fmt.Errorf("%w: test", refresh.ErrDenied))
		_, _ = c.Refresh(t.Context(), start("v"))
		synctest.Wait()
		l.want(t, "level=INFO msg=provider_called outcome=denied waiters=1 took_ms=50")

		fail(fmt.Errorf("%w: test", refresh.ErrNoAnswer))
		_, _ = c.Refresh(t.Context(), start("w"))
		synctest.Wait()
		l.want(t, "level=WARN msg=provider_called outcome=no_answer waiters=1 took_ms=50",
			"level=WARN msg=provider_called outcome=no_answer waiters=1 took_ms=50") // the second attempt
		p.fail.Store(nil)
		<-time.After(3 * time.Second)
		l.want(t, "level=DEBUG msg=provider_called outcome=exchanged waiters=0 took_ms=50") // by itself

		going := make(chan struct{})
		go func() {
			defer close(going)
			_, _ = c.Refresh(t.Context(), start("x"))
		}()
		synctest.Wait()
		_ = c.Revoke(t.Context(), start("x"))
		<-going
		_ = c.Close()
		l.want(t, "level=INFO msg=provider_called outcome=ended waiters=1 took_ms=50")
	})
}

func TestEventsTellWhatReplicasShare(t *testing.T) {
	p := &strict{delay: 50 * time.Millisecond}
	replicated(t, 2, p, func(t *testing.T, store *refreshtest.FaultyStore, replicas []*refresh.Coordinator) {
		l := new(log)
		replicas[1].Observe = l.observe
		mustRefresh(t, replicas[0], start("u"), generation("u", 1))
		mustRefresh(t, replicas[1], start("u"), generation("u", 1))
		synctest.Wait()
		l.want(t, "level=DEBUG msg=provider_called outcome=shared waiters=1 took_ms=0")
		store.SetDown(true)
		mustRefresh(t, replicas[1], start("v"), generation("v", 1))
		store.SetDown(false)
		synctest.Wait()
		if l.lines[0] != "level=WARN msg=store_degraded" {
			t.Errorf("told %q", l.lines)
		}
	})
}

// careless is a Refresher that panics wherever nobody waits for it.
type careless struct{ *strict }

func (careless) Revoke(context.Context, refresh.Tokens) error { panic("test: Revoke") }
func (careless) Arrived(context.Context, string) error        { panic("test: Arrived") }

func TestAStoreThatPanicsEndsNoProgram(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, store := new(strict), new(refreshtest.FaultyStore)
		store.Intercept(func(context.Context, refreshtest.StoreCall, func() (bool, error)) error { panic("test") })
		c := &refresh.Coordinator{Refresher: p, Store: store}
		mustRefresh(t, c, start("u"), generation("u", 1))
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

// unwatchable is a Store that says it can be watched.
type unwatchable struct{ refresh.MemoryStore }

func (*unwatchable) Watch(context.Context, string) (<-chan struct{}, func(), error) { panic("test") }

func TestAStoreThatPanicsWhenItIsWatchedEndsNoProgram(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, store := &strict{delay: time.Second}, new(unwatchable)
		one, two := &refresh.Coordinator{Refresher: p, Store: store}, &refresh.Coordinator{Refresher: p, Store: store}
		go func() { _, _ = one.Refresh(t.Context(), start("u")) }()
		synctest.Wait()
		mustRefresh(t, two, start("u"), generation("u", 1))
		p.expect(t, 1, 0)
		for _, c := range []*refresh.Coordinator{one, two} {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestAPanicWhereNobodyWaitsEndsNoProgram(t *testing.T) {
	coordinated(t, func(t *testing.T, c *refresh.Coordinator) {
		p := careless{&strict{delay: time.Second}}
		c.Refresher = p
		c.Observe = func(context.Context, event.Event) { panic("test: Observe") }
		mustRefresh(t, c, start("u"), generation("u", 1))
		c.MarkArrived(generation("u", 1)) // Arrived
		go func() { _, _ = c.Refresh(t.Context(), generation("u", 1)) }()
		synctest.Wait()
		if err := c.Replace(t.Context(), start("v")); err != nil {
			t.Error(err)
		}
		func() {
			defer func() { _ = recover() }() // the caller's own affair
			_ = c.Revoke(t.Context(), start("u"))
		}()
		if err := c.Close(); err != nil { // what came then was revoked in its turn
			t.Error(err)
		}
		p.expect(t, 2, 0)
	})
}
