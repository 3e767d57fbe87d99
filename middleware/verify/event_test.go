package verify

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/refresh/event"
)

func TestEventsTellOfEachFetchOfKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, j, p := newPair(t, "ES256")
		var told []event.Event
		j.Observe = func(_ context.Context, e event.Event) { told = append(told, e) }
		want(t, j, s.far(), "accepted")
		want(t, j, s.far(), "accepted")
		p.fail(errors.New("test: down"))
		<-time.After(defaultMaxAge)
		want(t, j, s.far(), "accepted")
		synctest.Wait()
		if len(told) != 2 {
			t.Fatalf("told %v, want two fetches", told)
		}
		for i, e := range told {
			if e.Kind != event.KeysFetched || e.Issuer == "" || (e.Err != nil) != (i == 1) || e.Keys != 1-i {
				t.Errorf("told %+v", e)
			}
			if attrs := e.LogValue().String(); strings.Contains(attrs, "error=") != (i == 1) {
				t.Errorf("logged %s", attrs)
			}
		}
		if levels := []string{told[0].Level.String(), told[1].Level.String()}; !slices.Equal(levels, []string{"DEBUG", "WARN"}) {
			t.Errorf("logged as %v", levels)
		}
	})
}

// A Close in the middle of a fetch is no outage.
func TestEventsTellNothingOfAFetchThatCloseEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, j, p := newPair(t, "ES256")
		j.Observe = func(_ context.Context, e event.Event) { t.Errorf("told %+v", e) }
		p.set(hang)
		go func() { _, _ = j.Verify(context.Background(), s.far()) }()
		synctest.Wait()
		_ = j.Close()
	})
}
