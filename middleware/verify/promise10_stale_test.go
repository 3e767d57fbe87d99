package verify

import (
	"cmp"
	"net/http"
	"sync"
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

// After silence a removed key has to be noticed, so the first requests wait,
// but not as long as a provider can hang.
func TestPromise10AGoodTokenWaitsOnceForAProviderThatHangs(t *testing.T) {
	for name, test := range map[string]struct {
		answer func(*http.Request) (*http.Response, error)
		first  time.Duration
	}{
		"it hangs":                 {hang, time.Second},
		"it refuses after a while": {func(*http.Request) (*http.Response, error) { time.Sleep(600 * time.Millisecond); return nil, errDown }, 600 * time.Millisecond},
		"it is down":               {func(*http.Request) (*http.Response, error) { return nil, errDown }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, j, p := newPair(t, "ES256")
				raw := s.far()
				want(t, j, raw, "accepted")
				p.set(test.answer)
				time.Sleep(time.Hour)
				wait := func(raw string) time.Duration {
					before := time.Now()
					want(t, j, raw, "accepted")
					return time.Since(before)
				}
				var group sync.WaitGroup
				for i := range 20 {
					token := []string{raw, s.far()}[i%2] // cached, and never seen
					group.Go(func() {
						time.Sleep(time.Duration(i) * 100 * time.Millisecond)
						if d := wait(token); d > max(0, test.first-time.Duration(i)*100*time.Millisecond) {
							t.Errorf("request %d waited %v", i, d)
						}
					})
				}
				group.Wait()
				for range 600 { // ten minutes more
					time.Sleep(time.Second)
					if d := wait(raw) + wait(s.far()); d != 0 {
						t.Fatalf("a later request waited %v", d)
					}
				}
				// A second silence, after which the provider answers again.
				time.Sleep(time.Hour)
				if d := wait(raw); d > failedWait {
					t.Errorf("after the second silence a request waited %v", d)
				}
				p.serve(jwks(newSigner("ES256", "key-2")))
				time.Sleep(time.Hour)
				want(t, j, raw, "refused") // its key has gone meanwhile
			})
		})
	}
}
