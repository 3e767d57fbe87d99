package refresh

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// A response that is being written learns of successors even where the book has
// had no room for the login meanwhile.
func TestAHeldLoginStaysWhenTheBookIsFull(t *testing.T) {
	var b book
	b.open(time.Second, time.Hour, false)
	b.pages, _ = simplelru.NewLRU(4, b.evicted)
	exchange := func(family string, n int) {
		t.Helper()
		old := Tokens{Access: fmt.Sprint("a", family, n), Refresh: fmt.Sprint("r", family, n)}
		next := Tokens{Access: fmt.Sprint("a", family, n+1), Refresh: fmt.Sprint("r", family, n+1)}
		r, k, err := b.enter(old, true, func(*call) {})
		if r != nil || err != nil {
			t.Fatalf("%s %d: %v, %v", family, n, r, err)
		}
		b.leave(k, next, nil)
	}
	exchange("x", 0)
	p, _ := b.page(keyOf("rx1"))
	held, err := b.hold(p.login)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		exchange(fmt.Sprint("other", i), 0)
	}
	exchange("x", 1)
	if got, ok := held.Newest(t.Context()); !ok || got.Access != "ax2" {
		t.Errorf("the response would write %s (%v), want ax2", got.Access, ok)
	}
	for i := range 100 {
		exchange(fmt.Sprint("more", i), 0)
	}
	if len(b.pinned) == 0 {
		t.Error("nothing is pinned while a response is held")
	}
	held.Release()
	if len(b.pinned) != 0 || b.pages.Len() > 4 || len(b.awaited) > 4 {
		t.Errorf("after the release: %d pinned, %d pages, %d awaited", len(b.pinned), b.pages.Len(), len(b.awaited))
	}
}

func TestWhatHasHadItsTimeIsSwept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b book
		b.open(30*time.Second, time.Hour, false)
		for i := range 4000 {
			old := Tokens{Access: fmt.Sprint("a", i), Refresh: fmt.Sprint("r", i)}
			_, k, err := b.enter(old, true, func(*call) {})
			if err != nil {
				t.Fatal(err)
			}
			b.leave(k, Tokens{Access: fmt.Sprint("b", i), Refresh: fmt.Sprint("s", i)}, nil)
			b.presented(fmt.Sprint("b", i))
			<-time.After(time.Second)
		}
		// Sixty pages are alive at any time; more than the sweep's slack is a leak.
		if n := b.pages.Len(); n > 2048 {
			t.Errorf("%d pages are kept", n)
		}
		if len(b.awaited) != 0 || len(b.calls) != 0 || len(b.pinned) != 0 {
			t.Errorf("%d awaited, %d calls, %d pinned are kept", len(b.awaited), len(b.calls), len(b.pinned))
		}
	})
}
