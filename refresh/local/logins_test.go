package local_test

import (
	"testing"
	"testing/synctest"
	"time"

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
