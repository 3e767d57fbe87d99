package refresh_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// Who has seen the result knows, in a time in which a Store that works would still
// have it, that the tokens which it replaced must not be used again.
func TestPromise02AStoreThatForgetsEndsNoLogin(t *testing.T) {
	p := &strict{}
	synctest.Test(t, func(t *testing.T) {
		store := new(refreshtest.FaultyStore)
		knows := &refresh.Coordinator{Refresher: p, Store: store}
		stranger := &refresh.Coordinator{Refresher: p, Store: store}
		mustRefresh(t, knows, start("u"), generation("u", 1))
		<-time.After(refresh.DefaultGrace/2 - time.Second)
		if err := store.Forget(""); err != nil {
			t.Fatal(err)
		}
		mustRefresh(t, knows, start("u"), generation("u", 1))
		// It has put the result back, for the others.
		synctest.Wait()
		mustRefresh(t, stranger, start("u"), generation("u", 1))
		p.expect(t, 1, 0)
		for _, c := range []*refresh.Coordinator{knows, stranger} {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}
