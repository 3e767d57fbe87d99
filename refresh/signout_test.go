package refresh_test

import (
	"errors"
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
