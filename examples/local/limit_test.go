package main

import (
	"net/url"
	"testing"
	"testing/synctest"
	"time"
)

func TestGuessesAreLimited(t *testing.T) {
	s := newServer(t, time.Minute)
	s.client().want(200, "POST", "/register", account("ada@example.com"))
	wrong := url.Values{"email": {"Ada@example.com"}, "password": {"wrong horse"}}
	for range 9 {
		s.client().want(403, "POST", "/login", wrong)
	}
	answer := s.client().want(429, "POST", "/login", wrong)
	if answer.Header.Get("Retry-After") == "" {
		t.Error("it does not say when to try again")
	}
	s.client().want(429, "POST", "/login", account("ada@example.com"))
	s.client().want(200, "POST", "/register", account("bob@example.com")) // others go on
}

// The numbers are those of the README.
func TestGuessesComeBackWithTime(t *testing.T) {
	s := newServer(t, time.Minute)
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			what   string
			by     *limiter
			atOnce int
			pause  time.Duration
		}{
			{"an account", s.site.byAccount, 10, 20 * time.Second},
			{"an address", s.site.byAddress, 40, 2 * time.Second},
		} {
			allowed := func() (n int) {
				for c.by.allow("one") {
					n++
				}
				return n
			}
			if n := allowed(); n != c.atOnce {
				t.Errorf("%s has %d guesses at once, want %d", c.what, n, c.atOnce)
			}
			time.Sleep(c.pause - time.Nanosecond)
			if n := allowed(); n != 0 {
				t.Errorf("%s has %d more before %v, want none", c.what, n, c.pause)
			}
			time.Sleep(time.Millisecond)
			if n := allowed(); n != 1 {
				t.Errorf("%s has %d more after %v, want 1", c.what, n, c.pause)
			}
			if !c.by.allow("another") {
				t.Errorf("%s pays for another", c.what)
			}
		}
	})
}
