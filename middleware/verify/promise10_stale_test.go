package verify

import (
	"cmp"
	"testing"
	"testing/synctest"
	"time"
)

func TestPromise10KeysAreNotBelievedForEver(t *testing.T) {
	for name, stale := range map[string]time.Duration{"72 hours": 0, "as long as is set": 5 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, j, p := newPair(t, "ES256")
				j.MaxStale = stale
				raw := s.far()
				want(t, j, raw, "accepted")
				p.fail(errDown)
				time.Sleep(cmp.Or(stale, 72*time.Hour) - time.Minute)
				want(t, j, raw, "accepted")
				time.Sleep(2 * time.Minute)
				want(t, j, raw, "unknown")
				want(t, j, s.token(nil), "unknown")
				p.serve(jwks(s))
				time.Sleep(2 * time.Second)
				want(t, j, raw, "accepted")
			})
		})
	}
}

// A set that has to be fetched anew only after a day is believed that long.
func TestPromise10KeysAreBelievedUntilTheyAreDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, j, p := newPair(t, "ES256")
		j.KeysMaxAge, j.MaxStale = 24*time.Hour, time.Hour
		raw := s.far()
		want(t, j, raw, "accepted")
		p.fail(errDown)
		time.Sleep(24*time.Hour - time.Minute)
		want(t, j, raw, "accepted")
		time.Sleep(2 * time.Minute)
		want(t, j, raw, "unknown")
	})
}
