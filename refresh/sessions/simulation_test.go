package sessions_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
	"github.com/tokenlife/tokenlife/refresh/sessions"
)

var (
	simSeeds = flag.Int("simulation.seeds", 60, "how many stories each simulation tells")
	simFirst = flag.Uint64("simulation.seed", 0, "the seed of the first of them")
)

// Browsers use their logins at replicas that come and go, over a store that
// fails now and then before or after it has done what it was asked, with answers
// that get lost. Nobody ends a login, and so all go on; no two browsers get each
// other's tokens; and the provider sees no refresh token twice.
//
// A replica that is lost in the very moment between a provider's answer and its
// record is what nothing can help: so replicas are replaced when they have come
// to rest.
func TestSimulation(t *testing.T) {
	for n := range uint64(*simSeeds) {
		seed := *simFirst + n
		synctest.Test(t, func(t *testing.T) { simulate(t, seed) })
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func simulate(t *testing.T, seed uint64) {
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(seed, 1))
	chance := func(of int) bool {
		mu.Lock()
		defer mu.Unlock()
		return random.IntN(of) == 0
	}
	w := newWorld(t)
	w.provider.delay = 20 * time.Millisecond
	trouble := errors.New("503")
	w.provider.fails = func() error {
		if chance(20) {
			return trouble
		}
		return nil
	}
	replicas := []*sessions.Sessions{w.replica(), w.replica()}
	var replacing sync.RWMutex
	at := func() *sessions.Sessions {
		mu.Lock()
		n := random.IntN(len(replicas))
		mu.Unlock()
		replacing.RLock()
		defer replacing.RUnlock()
		return replicas[n]
	}
	var browsers sync.WaitGroup
	for b := range 3 {
		whose := refresh.Identity{Issuer: "i", Subject: fmt.Sprint("user-", b)}
		kept := w.provider.login(whose.Subject)
		tok, err := at().Start(t.Context(), kept, whose)
		if err != nil {
			t.Fatal(err)
		}
		browsers.Go(func() {
			for range 12 {
				mu.Lock()
				pause := time.Duration(random.IntN(200)) * time.Second
				requests := 1 + random.IntN(4)
				mu.Unlock()
				time.Sleep(pause)
				got := make([]refresh.Tokens, requests)
				var all sync.WaitGroup
				for n := range got {
					all.Go(func() {
						for try := 0; ; try++ {
							next, err := at().Refresh(context.WithoutCancel(t.Context()), tok)
							if err == nil {
								got[n] = next
								return
							}
							if errors.Is(err, refresh.ErrDenied) || try > 100 {
								t.Errorf("%s, attempt %d: %v", whose.Subject, try, err)
								return
							}
							time.Sleep(time.Second)
						}
					})
				}
				all.Wait()
				if chance(4) || t.Failed() {
					continue // every answer was lost, and it comes with the same handle again
				}
				for _, g := range got {
					if g != got[0] {
						t.Errorf("%s: two answers differ", whose.Subject)
					}
				}
				tok = got[0]
				if chance(2) {
					_ = at().Arrived(t.Context(), tok.Access)
				}
				token, err := at().Access(t.Context(), tok.Access)
				if errors.Is(err, refresh.ErrNotFound) || err == nil && len(token) < len(kept.Access) || err == nil && token[:len("header.provider-access-token-user-0")] != kept.Access[:len("header.provider-access-token-user-0")] {
					t.Errorf("%s: the access handle stands for another's token, or none: %v", whose.Subject, err)
				}
			}
		})
	}
	w.store.Intercept(func(_ context.Context, c refreshtest.StoreCall, do func() (bool, error)) error {
		if chance(40) {
			return refreshtest.ErrStoreDown
		}
		lost := c.Swap && chance(40)
		_, err := do()
		if lost {
			return refreshtest.ErrStoreDown
		}
		return err
	})
	stop := make(chan struct{})
	var operator sync.WaitGroup
	operator.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			case <-time.After(4 * time.Minute):
			}
			replacing.Lock()
			old := replicas[n%2]
			replicas[n%2] = w.replica()
			replacing.Unlock()
			time.Sleep(20 * time.Second) // it drains
			_ = old.Close()
		}
	})
	browsers.Wait()
	close(stop)
	operator.Wait()
	w.store.Intercept(nil)
	if _, reuses, _ := w.provider.counts(); reuses != 0 {
		t.Errorf("the provider saw %d reuses", reuses)
	}
	if got := w.kinds(); got != "" {
		t.Errorf("events: %s", got)
	}
}

// No two strings are one handle, and no handle is both kinds or a JWT.
func FuzzHandles(f *testing.F) {
	f.Add("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "")
	f.Add("", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Add("eyJhbGciOiJFUzI1NiJ9.e30.c2ln", "eyJhbGciOiJFUzI1NiJ9.e30.c2ln")
	store := new(refreshtest.FaultyStore)
	s := &sessions.Sessions{Refresher: new(provider), Store: store}
	f.Fuzz(func(t *testing.T, handle, access string) {
		id := sessions.ID(refresh.Tokens{Refresh: handle, Access: access})
		byHandle, byAccess := sessions.ID(refresh.Tokens{Refresh: handle}), sessions.ID(refresh.Tokens{Access: access})
		if len(id) != 0 && len(id) != 22 || id != byHandle && byHandle != "" || byHandle == "" && id != byAccess {
			t.Fatalf("the ID is %q", id)
		}
		if byHandle != "" && (len(handle) != 69 || sessions.ID(refresh.Tokens{Access: handle}) != "") {
			t.Fatalf("%q is a handle", handle)
		}
		if _, err := s.Refresh(t.Context(), refresh.Tokens{Refresh: handle}); !errors.Is(err, refresh.ErrDenied) {
			t.Fatalf("%q: %v", handle, err)
		}
		before := reads(store)
		if _, err := s.Access(t.Context(), access); !errors.Is(err, refresh.ErrNotFound) {
			t.Fatalf("%q: %v", access, err)
		}
		if asked := reads(store) > before; asked != (byAccess != "") {
			t.Fatalf("%q: the store was asked: %t", access, asked)
		}
	})
}
