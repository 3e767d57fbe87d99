package event_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/refresh/event"
)

func TestALogHasWhatIsSet(t *testing.T) {
	err := errors.New("test: why")
	for _, tt := range []struct {
		e    event.Event
		want string
	}{
		{event.Event{Kind: event.Verified, Level: slog.LevelDebug, Bearer: true, Issuer: "i", Subject: "s"}, "DEBUG verified bearer=true issuer=i subject=s"},
		{event.Event{Kind: event.Refused, Level: slog.LevelWarn, Reason: "unavailable", Err: err}, `WARN refused reason=unavailable error="test: why"`},
		{event.Event{Kind: event.Refused, Err: fmt.Errorf("test: %w", said("The user is locked."))}, `INFO refused error="test: refused" description="The user is locked."`},
		{event.Event{Kind: event.Refused, Err: said("")}, `INFO refused error=refused`},
		{event.Event{Kind: event.Refreshed, Cause: "due", Remembered: true}, "INFO refreshed cause=due took_ms=0 remembered=true"},
		{
			event.Event{Kind: event.Ended, Cause: "expired", Took: time.Second, Issuer: "i", Subject: "s", Unverified: true},
			"INFO ended cause=expired took_ms=1000 issuer=i subject=s unverified=true",
		},
		{event.Event{Kind: event.ProviderCalled, Outcome: event.OutcomeExchanged}, "INFO provider_called outcome=exchanged waiters=0 took_ms=0"},
		{event.Event{Kind: event.KeysFetched, Issuer: "i", Keys: 2, Took: time.Millisecond}, "INFO keys_fetched keys=2 took_ms=1 issuer=i"},
		{event.Event{Kind: event.KeysFetched, Issuer: "i", Keys: 1, LeftOut: []string{"entry 1: a", "entry 2: b"}}, `INFO keys_fetched keys=1 left_out="entry 1: a; entry 2: b" took_ms=0 issuer=i`},
		{event.Event{Kind: event.KeysFetched, Err: err, Issuer: "i"}, `INFO keys_fetched keys=0 took_ms=0 error="test: why" issuer=i`},
		{event.Event{Kind: event.TokenAsked, Issuer: "i", Took: time.Millisecond}, "INFO token_asked took_ms=1 issuer=i"},
		{
			event.Event{Kind: event.HandleReused, Level: slog.LevelWarn, Issuer: "i", Subject: "s", Login: "l", Device: "d"},
			"WARN handle_reused issuer=i subject=s login=l",
		},
	} {
		var b bytes.Buffer
		event.Log(slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}}))).Tell(t.Context(), tt.e)
		got := strings.TrimSpace(strings.NewReplacer("level=", "", "msg=", "").Replace(b.String()))
		if got != tt.want {
			t.Errorf("logged %q\nwant   %q", got, tt.want)
		}
	}
}

// said is an error with the words of a provider.
type said string

func (said) Error() string          { return "refused" }
func (s said) ProviderSays() string { return string(s) }

// What a log leaves out costs no allocation: there is an event for every
// request.
func TestALevelThatIsOffCostsNothing(t *testing.T) {
	h := event.Log(slog.New(slog.DiscardHandler))
	e := event.Event{Kind: event.Verified, Level: slog.LevelDebug, Issuer: "i", Subject: "s"}
	if n := testing.AllocsPerRun(100, func() { h.Tell(context.Background(), e) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAHookThatIsNilOrPanicsIsPassedOver(t *testing.T) {
	event.Hook(nil).Tell(t.Context(), event.Event{})
	called := false
	event.Hook(func(context.Context, event.Event) { called = true; panic("test") }).Tell(t.Context(), event.Event{})
	if !called {
		t.Error("the hook was not called")
	}
}

func TestAClientThatHasGoneIsNoFailure(t *testing.T) {
	for err, want := range map[error]slog.Level{
		nil:                                      slog.LevelInfo,
		errors.New("test"):                       slog.LevelWarn,
		fmt.Errorf("test: %w", context.Canceled): slog.LevelDebug,
	} {
		if got := event.LevelOf(err); got != want {
			t.Errorf("%v: %v, want %v", err, got, want)
		}
	}
}

func TestTheFirstHookThatIsGivenCounts(t *testing.T) {
	var f event.Fallback
	var told string
	hook := func(name string) event.Hook {
		return func(context.Context, event.Event) { told += name }
	}
	f.For(nil).Tell(t.Context(), event.Event{})
	f.Set(nil)
	f.Set(hook("a"))
	f.Set(hook("b"))
	f.For(nil).Tell(t.Context(), event.Event{})
	f.For(hook("own")).Tell(t.Context(), event.Event{})
	if told != "aown" {
		t.Errorf("told %q", told)
	}
}

func TestAFallbackIsSetWhileEventsAreTold(t *testing.T) {
	var f event.Fallback
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { f.Set(func(context.Context, event.Event) {}) })
		wg.Go(func() { f.For(nil).Tell(t.Context(), event.Event{}) })
	}
	wg.Wait()
}

type below struct{ event.Fallback }

func (b *below) ObserveDefault(h event.Hook) { b.Set(h) }

func TestWhatIsNoObservableIsPassedOver(t *testing.T) {
	b := new(below)
	event.SetDefault(func(context.Context, event.Event) {}, nil, 1, b)
	if b.For(nil) == nil {
		t.Error("what is one has got no hook")
	}
}
