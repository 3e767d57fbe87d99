package refresh_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
)

func TestPromise05LogoutWins(t *testing.T) {
	coordinated(t, func(t *testing.T, c *refresh.Coordinator) {
		p := &strict{after: time.Second}
		c.Refresher = p
		for _, tt := range []struct {
			name   string
			before int // refreshes before the one in flight
		}{
			{"with the first refresh in flight", 0},
			{"with a later refresh in flight and the old cookies", 1},
		} {
			for n := range tt.before {
				mustRefresh(t, c, generation(tt.name, n), generation(tt.name, n+1))
			}
			done := make(chan error, 1)
			go func() {
				_, err := c.Refresh(t.Context(), generation(tt.name, tt.before))
				done <- err
			}()
			synctest.Wait()
			if err := c.Revoke(t.Context(), start(tt.name)); err != nil {
				t.Error(err)
			}
			if err := <-done; !errors.Is(err, refresh.ErrDenied) {
				t.Errorf("%s: the refresh gave %v, want ErrDenied", tt.name, err)
			}
			synctest.Wait()
			for n := range 3 {
				if _, err := c.Refresh(t.Context(), generation(tt.name, n)); !errors.Is(err, refresh.ErrDenied) {
					t.Errorf("%s: generation %d gave %v after the logout", tt.name, n, err)
				}
			}
		}
		// What the provider gave after the logout has been taken back.
		want := map[string]bool{
			"with the first refresh in flight.1":                   true,
			"with a later refresh in flight and the old cookies.2": true,
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, r := range p.revoked {
			delete(want, r)
		}
		if len(want) > 0 {
			t.Errorf("never revoked: %v (revoked: %v)", want, p.revoked)
		}
	})
}

// An end does not live as long as lost answers are waited for, but as long as a
// browser may keep the cookies.
func TestPromise05AnEndStandsForAsLongAsCookiesLive(t *testing.T) {
	const day = 24 * time.Hour
	for name, end := range map[string]func(*refresh.Coordinator, context.Context, refresh.Tokens) error{
		"a sign-out":        (*refresh.Coordinator).Revoke,
		"another's sign-in": (*refresh.Coordinator).Replace,
	} {
		t.Run(name, func(t *testing.T) {
			coordinated(t, func(t *testing.T, c *refresh.Coordinator) {
				c.Refresher = refresh.Func(new(strict).Refresh) // no Revoker: nobody else refuses
				c.Keep, c.Grace = -1, -1
				mustRefresh(t, c, start("u"), generation("u", 1))
				c.MarkArrived(generation("u", 1))
				month := generation("v", 0)
				month.RefreshExpiry = time.Now().Add(30 * day)
				for _, old := range []refresh.Tokens{generation("u", 1), month} {
					if err := end(c, t.Context(), old); err != nil {
						t.Fatal(err)
					}
				}
				denied := func(old refresh.Tokens, after string) {
					t.Helper()
					if _, err := c.Refresh(t.Context(), old); !errors.Is(err, refresh.ErrDenied) {
						t.Errorf("%s %s later: %v", old.Refresh, after, err)
					}
				}
				<-time.After(time.Minute)
				denied(generation("u", 1), "a minute")
				<-time.After(29 * day)
				denied(generation("u", 1), "29 days")
				denied(month, "29 days")
				<-time.After(370 * day)
				denied(generation("u", 1), "399 days")
				mustRefresh(t, c, generation("v", 0), generation("v", 1)) // no browser has it any more
			})
		})
	}
}

// Tokens that strangers make up push out no end of a login, and no result.
func TestPromise05StrangersPushOutNoEnd(t *testing.T) {
	p := new(strict)
	c := &refresh.Coordinator{Refresher: refresh.Func(p.Refresh)}
	defer c.Close()
	mustRefresh(t, c, start("result"), generation("result", 1))
	if err := c.Revoke(t.Context(), start("ended")); err != nil {
		t.Fatal(err)
	}
	for i := range 140_000 { // more than there is room for anywhere
		made := start(fmt.Sprint("made-up-", i))
		made.RefreshExpiry = time.Now().Add(24 * time.Hour)
		if err := c.Revoke(t.Context(), made); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Refresh(t.Context(), start("ended")); !errors.Is(err, refresh.ErrDenied) {
		t.Errorf("after a flood: %v", err)
	}
	mustRefresh(t, c, start("result"), generation("result", 1))
}

// A browser may be set back to older tokens of a login that has ended, by a response
// that was slow. They are refused as well, when their Grace is over.
func TestPromise05TheTokensBeforeAnEndAreRefusedToo(t *testing.T) {
	coordinated(t, func(t *testing.T, c *refresh.Coordinator) {
		p := new(strict)
		c.Refresher = refresh.Func(p.Refresh) // no Revoker: nobody else refuses
		for n := range 4 {
			mustRefresh(t, c, generation("u", n), generation("u", n+1))
			c.MarkArrived(generation("u", n+1))
		}
		if err := c.Revoke(t.Context(), generation("u", 4)); err != nil {
			t.Fatal(err)
		}
		<-time.After(2 * refresh.DefaultGrace)
		for n := range 5 {
			if _, err := c.Refresh(t.Context(), generation("u", n)); !errors.Is(err, refresh.ErrDenied) {
				t.Errorf("generation %d: %v", n, err)
			}
		}
		p.expect(t, 4, 0)
	})
}
