package refresh_test

import (
	"errors"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// Who comes with a refresh token alone, to learn that what followed it has ended
// as well, gets what follows that. It has not presented it: should the answer be
// lost once more, its own token still leads on.
func TestARefreshTokenAloneLeadsOnWhileNothingArrives(t *testing.T) {
	alone := func(t *testing.T, c *refresh.Coordinator, want int) {
		t.Helper()
		got, err := c.Refresh(t.Context(), refresh.Tokens{Refresh: start("u").Refresh})
		if err != nil || got.Refresh != generation("u", want).Refresh {
			t.Errorf("got %s, %v; want generation %d", got.Refresh, err, want)
		}
	}
	outage := map[string]bool{"with a store": false, "with a store that was down": true}
	for name, down := range outage {
		t.Run(name, func(t *testing.T) {
			p := new(strict)
			replicated(t, 2, fiveMinutes(p), func(t *testing.T, store *refreshtest.FaultyStore, replicas []*refresh.Coordinator) {
				alone(t, replicas[0], 1)
				<-time.After(6 * time.Minute)
				store.SetDown(down)
				alone(t, replicas[0], 2)
				store.SetDown(false)
				<-time.After(time.Minute) // longer than grace
				alone(t, replicas[0], 2)
				alone(t, replicas[1], 2)
				<-time.After(5 * time.Minute)
				alone(t, replicas[1], 3)
				p.expect(t, 3, 0)
			})
		})
	}
	coordinated(t, func(t *testing.T, c *refresh.Coordinator) {
		p := new(strict)
		c.Refresher = fiveMinutes(p)
		alone(t, c, 1)
		<-time.After(6 * time.Minute)
		alone(t, c, 2)
		<-time.After(time.Minute)
		alone(t, c, 2)
		p.expect(t, 2, 0)
	})
}

func TestARefreshTokenAloneIsAskedForAgain(t *testing.T) {
	coordinated(t, func(t *testing.T, c *refresh.Coordinator) {
		p := new(strict)
		c.Refresher = fiveMinutes(p)
		old := refresh.Tokens{Refresh: start("u").Refresh}
		if _, err := c.Refresh(t.Context(), old); err != nil {
			t.Fatal(err)
		}
		<-time.After(6 * time.Minute)
		p.setFail(refresh.ErrNoAnswer)
		if _, err := c.Refresh(t.Context(), old); !errors.Is(err, refresh.ErrNoAnswer) {
			t.Fatal(err)
		}
		p.expect(t, 3, 0) // the second attempt has failed as well
		p.setFail(nil)
		<-time.After(2 * time.Second)
		p.expect(t, 4, 0) // the third in nobody's name
	})
}

// A client that keeps no cookies comes with the same refresh token for as long as
// Keep. The provider sees each token once, however many have followed it.
func TestPromise01ARefreshTokenAloneLeadsOnForLong(t *testing.T) {
	coordinated(t, func(t *testing.T, c *refresh.Coordinator) {
		p := new(strict)
		c.Refresher = fiveMinutes(p)
		for n := 1; n <= 230; n++ { // 23 hours
			got, err := c.Refresh(t.Context(), refresh.Tokens{Refresh: start("u").Refresh})
			if err != nil || got.Refresh != generation("u", n).Refresh {
				t.Fatalf("%d: got %s, %v", n, got.Refresh, err)
			}
			<-time.After(6 * time.Minute)
		}
		p.expect(t, 230, 0)
	})
}

// If too many have followed to find the newest tokens, older ones are not presented
// in their place.
func TestPromise01ALoginWithTooManyResultsIsNotAskedFor(t *testing.T) {
	coordinated(t, func(t *testing.T, c *refresh.Coordinator) {
		p := new(strict)
		c.Refresher = fiveMinutes(p)
		newest, err := c.Renew(t.Context(), start("u"))
		for range 1100 {
			if err != nil {
				t.Fatal(err)
			}
			last := newest
			newest, err = last.Renew(t.Context()) // no client has presented them
			last.Release()
		}
		newest.Release()
		<-time.After(6 * time.Minute)
		begin := time.Now()
		_, err = c.Refresh(t.Context(), refresh.Tokens{Refresh: start("u").Refresh})
		if err == nil || errors.Is(err, refresh.ErrDenied) || time.Since(begin) > 0 {
			t.Errorf("after %v: %v; want a temporary error at once", time.Since(begin), err)
		}
		p.expect(t, 1101, 0)
	})
}
