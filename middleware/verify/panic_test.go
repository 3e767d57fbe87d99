package verify_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh/event"
	"github.com/tokenlife/tokenlife/refresh/local"
)

// Both run in goroutines of ours, where a panic would end the program.
func TestAPanicOfKeysOrObserveIsNoMoreThanAFailure(t *testing.T) {
	issuer := &local.Issuer{URL: "https://issuer.example", Audience: []string{"api"}, Life: time.Minute}
	login, err := issuer.Login(t.Context(), "ann")
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		keys    func(context.Context) ([]byte, error)
		observe func(context.Context, event.Event)
		good    bool
	}{
		"Keys":    {func(context.Context) ([]byte, error) { panic("a mistake") }, nil, false},
		"Observe": {issuer.JWKS, func(context.Context, event.Event) { panic("a mistake") }, true},
	} {
		t.Run(name, func(t *testing.T) {
			tokens, err := verify.New(verify.Issuer{URL: issuer.URL, Audience: issuer.Audience, Keys: tt.keys})
			if err != nil {
				t.Fatal(err)
			}
			defer tokens.Close()
			told := 0
			tokens.Observe = func(ctx context.Context, e event.Event) {
				if told++; tt.good != (e.Err == nil) {
					t.Errorf("told %v", e.Err)
				}
				if tt.observe != nil {
					tt.observe(ctx, e)
				}
			}
			_, err = tokens.Verify(t.Context(), login.Access)
			if tt.good != (err == nil) || errors.Is(err, verify.ErrInvalid) || errors.Is(err, verify.ErrExpired) {
				t.Errorf("verified: %v", err)
			}
			if tokens.Close(); told != 1 { // after it, no fetch is under way
				t.Errorf("told %d times of one fetch", told)
			}
		})
	}
}

// Lookup is given what anybody can write.
func TestAPanicOfLookupIsNoMoreThanAFailure(t *testing.T) {
	issuer := &local.Issuer{URL: "https://issuer.example", Audience: []string{"api"}, Life: time.Minute}
	login, err := issuer.Login(t.Context(), "ann")
	if err != nil {
		t.Fatal(err)
	}
	tokens := &verify.JWT{Lookup: func(context.Context, string) (verify.Issuer, error) { panic(login.Access) }}
	defer tokens.Close()
	_, err = tokens.Verify(t.Context(), login.Access)
	if err == nil || errors.Is(err, verify.ErrInvalid) || strings.Contains(err.Error(), login.Access) {
		t.Errorf("verified: %v", err)
	}
}
