package local_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/local"
)

func TestALoginEndsAsItsIssuerSays(t *testing.T) {
	for name, test := range map[string]struct {
		change func(i *local.Issuer)
		ends   time.Duration // with a refresh every 40 minutes
		unused time.Duration // without one
	}{
		"Idle":     {func(i *local.Issuer) { i.Idle = time.Hour }, 0, time.Hour},
		"Absolute": {func(i *local.Issuer) { i.Absolute = 2 * time.Hour }, 2 * time.Hour, 2 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i := newIssuer()
				test.change(i)
				used, unused := login(t, i), login(t, i)
				if left := time.Until(unused.RefreshExpiry); left != test.unused {
					t.Errorf("it ends in %v, want %v", left, test.unused)
				}
				for at := 40 * time.Minute; at <= 4*time.Hour; at += 40 * time.Minute {
					time.Sleep(40 * time.Minute)
					next, err := i.Refresh(t.Context(), used)
					if over := test.ends != 0 && at >= test.ends; over != (err != nil) {
						t.Fatalf("after %v: %v", at, err)
					}
					if err != nil {
						break
					}
					used = next
				}
				if _, err := i.Refresh(t.Context(), unused); err == nil {
					t.Errorf("one that has not been used for %v goes on", test.unused)
				}
			})
		})
	}
}

func TestALoginIsReplaced(t *testing.T) {
	i := newIssuer()
	before, after := login(t, i), login(t, i)
	if err := i.Replaced(t.Context(), before); err != nil {
		t.Fatal(err)
	}
	if _, err := i.Refresh(t.Context(), before); err == nil {
		t.Error("the login before goes on")
	}
	if logins, err := i.Logins(t.Context(), "alice"); err != nil || len(logins) != 1 {
		t.Errorf("%d logins are listed, %v", len(logins), err)
	}
	if _, err := i.Refresh(t.Context(), after); err != nil {
		t.Error(err)
	}
}

// A program that starts again with another Life does not take away the key of
// tokens that live longer.
func TestAKeyStaysForWhatItSignedUnderAnotherLife(t *testing.T) {
	for name, lives := range map[string][2]time.Duration{
		"shorter now": {6 * time.Hour, 5 * time.Minute},
		"longer now":  {5 * time.Minute, 6 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := new(refresh.MemoryStore)
				open := func(life time.Duration) *local.Issuer {
					i := newIssuer()
					i.Store, i.Secret, i.Life, i.RotateEvery = store, make([]byte, 32), life, time.Hour
					return i
				}
				first := login(t, open(lives[0]))
				i := open(lives[1])
				tokens := []refresh.Tokens{first, login(t, i)}
				if kid(t, tokens[1]) != kid(t, first) {
					t.Fatal("a start makes a new key")
				}
				for range 37 {
					for _, tok := range tokens {
						if time.Now().Before(tok.Expiry) && !slices.Contains(kids(t, i), kid(t, tok)) {
							t.Fatalf("the key is gone %v before the token ends", time.Until(tok.Expiry))
						}
					}
					time.Sleep(10 * time.Minute)
				}
				time.Sleep(2 * time.Hour)
				if slices.Contains(kids(t, i), kid(t, first)) {
					t.Error("the key is there for good")
				}
			})
		})
	}
}

func TestAProgramThatStoodStillFindsItsKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(refresh.MemoryStore)
		open := func() *local.Issuer {
			i := newIssuer()
			i.Store, i.Secret = store, make([]byte, 32)
			return i
		}
		before := kid(t, login(t, open()))
		time.Sleep(20 * time.Hour)
		if got := kid(t, login(t, open())); got != before {
			t.Error("another key signs after a day that is not over")
		}
	})
}
