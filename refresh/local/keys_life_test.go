package local_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/local"
)

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
