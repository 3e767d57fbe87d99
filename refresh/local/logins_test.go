package local_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
)

// A spy is a store that can fail and shows what it was given.
type spy struct {
	refresh.MemoryStore
	mu     sync.Mutex
	down   error
	late   time.Duration // how much longer than asked a value is kept
	before func()        // runs once, ahead of the next Swap
	values []string
}

func (s *spy) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = err
}

func (s *spy) Get(ctx context.Context, key string) ([]byte, error) {
	s.mu.Lock()
	down := s.down
	s.mu.Unlock()
	if down != nil {
		return nil, down
	}
	return s.MemoryStore.Get(ctx, key)
}

func (s *spy) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	s.mu.Lock()
	down, before := s.down, s.before
	s.before = nil
	s.values = append(s.values, key+" "+string(new))
	s.mu.Unlock()
	if before != nil {
		before()
	}
	if down != nil {
		return false, down
	}
	return s.MemoryStore.Swap(ctx, key, old, new, ttl+s.late)
}

func TestADeadStoreEndsNoLogin(t *testing.T) {
	store := new(spy)
	i := newIssuer()
	i.Store = store
	tok := login(t, i)
	down := errors.New("the store is down")
	store.fail(down)
	_, renewed := i.Refresh(t.Context(), tok)
	_, begun := i.Login(t.Context(), "bob")
	for _, err := range []error{renewed, begun, i.Revoke(t.Context(), tok)} {
		if !errors.Is(err, down) || errors.Is(err, refresh.ErrDenied) || !strings.HasPrefix(err.Error(), "local: ") {
			t.Errorf("error is %v, want the store's", err)
		}
	}
	store.fail(nil)
	if _, err := i.Refresh(t.Context(), tok); err != nil {
		t.Errorf("when the store is back: %v", err)
	}
}

func TestALoginEndsEvenIfTheStoreIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer()
		i.Store, i.RefreshLife = &spy{late: time.Hour}, time.Minute
		tok := login(t, i)
		time.Sleep(time.Minute)
		if _, err := i.Refresh(t.Context(), tok); !errors.Is(err, refresh.ErrDenied) {
			t.Errorf("error is %v, want ErrDenied", err)
		}
	})
}

func TestTheStoreHoldsNoToken(t *testing.T) {
	store := new(spy)
	i := newIssuer()
	i.Store = store
	tok := login(t, i)
	for range 3 {
		next, err := i.Refresh(t.Context(), tok)
		if err != nil {
			t.Fatal(err)
		}
		_, secret, _ := strings.Cut(tok.Refresh, ".")
		for _, v := range store.values {
			for n := 0; n+12 <= len(secret); n++ {
				if strings.Contains(v, secret[n:n+12]) {
					t.Fatal("the store has 12 characters of a refresh token's secret")
				}
			}
			if strings.Contains(v, tok.Access) {
				t.Fatal("the store has an access token")
			}
		}
		tok = next
	}
}

func TestAFailingClaimsFunctionSpendsNothing(t *testing.T) {
	var problem error
	i := newIssuer()
	i.Claims = func(context.Context, string) (map[string]any, error) { return nil, problem }
	tok := login(t, i)
	problem = errors.New("no database")
	if _, err := i.Refresh(t.Context(), tok); !errors.Is(err, problem) || errors.Is(err, refresh.ErrDenied) {
		t.Errorf("error is %v, want its own", err)
	}
	problem = nil
	tok, err := i.Refresh(t.Context(), tok)
	if err != nil {
		t.Fatal(err)
	}
	problem = refresh.ErrDenied
	if _, err := i.Refresh(t.Context(), tok); !errors.Is(err, refresh.ErrDenied) {
		t.Errorf("error is %v, want ErrDenied", err)
	}
	problem = nil
	if _, err := i.Refresh(t.Context(), tok); !errors.Is(err, refresh.ErrDenied) {
		t.Errorf("a closed account goes on: %v", err)
	}
}

func TestALogoutInMidRefreshWins(t *testing.T) {
	store := new(spy)
	i := newIssuer()
	i.Store = store
	tok := login(t, i)
	store.before = func() {
		if err := i.Revoke(t.Context(), tok); err != nil {
			t.Error(err)
		}
	}
	if _, err := i.Refresh(t.Context(), tok); !errors.Is(err, refresh.ErrDenied) {
		t.Errorf("error is %v, want ErrDenied", err)
	}
}

func TestOfManyAtOnceOneIsGranted(t *testing.T) {
	i := newIssuer()
	tok := login(t, i)
	var granted int
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			_, err := i.Refresh(t.Context(), tok)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				granted++
			} else if !errors.Is(err, refresh.ErrDenied) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if granted != 1 {
		t.Errorf("%d were granted, want 1", granted)
	}
}

func TestSomethingElseInTheStoreIsNotALogout(t *testing.T) {
	store := new(spy)
	i := newIssuer()
	i.Store = store
	tok := login(t, i)
	id, _, _ := strings.Cut(tok.Refresh, ".")
	key := "local.login." + id
	old, err := store.MemoryStore.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := store.MemoryStore.Swap(t.Context(), key, old, []byte("!"), time.Hour); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if _, err := i.Refresh(t.Context(), tok); err == nil || errors.Is(err, refresh.ErrDenied) {
		t.Errorf("error is %v, want one that is temporary", err)
	}
}
