package login

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
)

func TestOldAttemptsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rs redemptions
		rs.setUp()
		redeem := func(state string) {
			red, err := rs.join(state, func() (refresh.Tokens, error) { return refresh.Tokens{Access: "a"}, nil })
			if err != nil || red == nil {
				t.Fatalf("%s: %v", state, err)
			}
			<-red.done
		}
		for i := range 100 {
			redeem(fmt.Sprint("answered ", i))
			rs.markUsed(fmt.Sprint("answered ", i))
			redeem(fmt.Sprint("left ", i))
		}
		time.Sleep(attemptLife + time.Second)
		redeem("the last")
		if n := rs.entries.Len(); n != 1 {
			t.Errorf("%d entries are kept, want 1", n)
		}
		rs.close()
	})
}

func TestRedemptionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rs redemptions
		rs.setUp()
		hold := make(chan struct{})
		run := func() (refresh.Tokens, error) { <-hold; return refresh.Tokens{}, nil }
		for i := range maxRedeeming {
			if _, err := rs.join(fmt.Sprint(i), run); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := rs.join("one more", run); err == nil {
			t.Error("there is room for one more")
		}
		if red, err := rs.join("0", run); red == nil || err != nil {
			t.Errorf("one under way cannot be joined: %v", err)
		}
		close(hold)
		synctest.Wait()
		if _, err := rs.join("one more", run); err != nil {
			t.Errorf("there is no room again: %v", err)
		}
		rs.close()
	})
}
