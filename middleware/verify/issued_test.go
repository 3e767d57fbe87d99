package verify

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A token that the issuer itself has given is refused for good only by keys that
// were fetched after that.
func TestATokenThatTheIssuerHasGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, j, p := newPair(t, "ES256")
		// verdict is "good", "never good" or "not known".
		verdict := func(raw string, before time.Time) string {
			switch _, err := j.VerifyIssued(t.Context(), raw, before); {
			case err == nil:
				return "good"
			case errors.Is(err, ErrInvalid):
				return "never good"
			}
			return "not known"
		}
		expect := func(when, raw string, before time.Time, want string, fetches int) {
			t.Helper()
			n := p.count()
			if got := verdict(raw, before); got != want || p.count()-n != fetches {
				t.Errorf("%s: %s after %d fetches, want %s after %d", when, got, p.count()-n, want, fetches)
			}
		}
		next := newSigner("ES256", "key-1") // another key under the ID of s
		s.far()
		expect("a good token", s.far(), time.Now(), "good", 1)
		expect("no JWT", "opaque", time.Now(), "never good", 0)
		expect("another issuer's", s.token(map[string]any{"iss": "https://other.test"}), time.Now(), "never good", 0)
		time.Sleep(time.Second)
		issued := time.Now()
		expect("in the cool-down", next.far(), issued, "not known", 0)
		time.Sleep(defaultCooldown)
		expect("after the cool-down", next.far(), issued, "never good", 1)
		expect("again", next.far(), issued, "never good", 0)
		time.Sleep(defaultCooldown)
		issued = time.Now()
		p.serve(jwks(next))
		expect("the key is published", next.far(), issued, "good", 1)
		p.set(hang)
		time.Sleep(defaultCooldown)
		expect("the provider hangs", s.far(), time.Now(), "not known", 1)
	})
}
