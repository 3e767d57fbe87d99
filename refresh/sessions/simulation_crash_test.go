package sessions_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
	"github.com/tokenlife/tokenlife/refresh/sessions"
)

// Replicas are killed at any of their calls, before or after it has happened, two
// of them in the time of one exchange at the most; or one of them, over a store that
// fails now and then. The provider gives the same successor for ten seconds. Nobody
// ends a login, and so all go on.
func TestSimulationOfKilledReplicas(t *testing.T) {
	for n := range uint64(*simSeeds) {
		seed := *simFirst + n
		synctest.Test(t, func(t *testing.T) { simulateKills(t, seed) })
		if t.Failed() {
			return
		}
	}
}

// A killable replica ends at one of its calls, and everything that it does after
// that is in vain.
type killable struct {
	*sessions.Sessions
	story  *story
	killed atomic.Bool
	alive  context.Context // ends when it is killed, as the connections of its clients do
	kill   context.CancelFunc
}

var errKilled = errors.New("the replica was killed")

// call is one call of the store or the provider.
func (k *killable) call(do func() error) error {
	if k.killed.Load() {
		return errKilled
	}
	if !k.story.kills(30) {
		return do()
	}
	if k.story.chance(2) {
		_ = do()
	}
	k.killed.Store(true)
	k.kill()
	return errKilled
}

type wayOf struct {
	*killable
	to refresh.Store
}

func (s wayOf) Get(ctx context.Context, key string) (v []byte, err error) {
	err = s.call(func() (err error) { v, err = s.to.Get(ctx, key); return err })
	return v, err
}

func (s wayOf) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (ok bool, err error) {
	err = s.call(func() (err error) { ok, err = s.to.Swap(ctx, key, old, new, ttl); return err })
	return ok && err == nil, err
}

// A story is the chances of one simulation.
type story struct {
	mu     sync.Mutex
	random *rand.Rand
	most   int // replicas killed in the time of one exchange
	deaths []time.Time
}

func (s *story) chance(of int) bool { return s.number(of) == 0 }

func (s *story) number(below int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.random.IntN(below)
}

// kills reports whether a replica is to die now.
func (s *story) kills(of int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if n := len(s.deaths); n >= s.most && now.Sub(s.deaths[n-s.most]) < 30*time.Second || s.random.IntN(of) != 0 {
		return false
	}
	s.deaths = append(s.deaths, now)
	return true
}

// A graceful provider gives the same successor for ten seconds.
type graceful struct {
	mu     sync.Mutex
	given  map[string]successor
	reuses int
}

type successor struct {
	tokens refresh.Tokens
	first  time.Time
}

func (p *graceful) Refresh(_ context.Context, old refresh.Tokens) (refresh.Tokens, error) {
	<-time.After(100 * time.Millisecond)
	defer func() { <-time.After(100 * time.Millisecond) }()
	p.mu.Lock()
	defer p.mu.Unlock()
	if s, ok := p.given[old.Refresh]; ok {
		if time.Since(s.first) > 10*time.Second {
			p.reuses++
			return refresh.Tokens{}, refresh.ErrDenied
		}
		return s.tokens, nil
	}
	next := refresh.Tokens{Access: old.Access + "'", Refresh: old.Refresh + "'", Expiry: time.Now().Add(time.Minute)}
	p.given[old.Refresh] = successor{next, time.Now()}
	return next, nil
}

func simulateKills(t *testing.T, seed uint64) {
	life := &story{random: rand.New(rand.NewPCG(seed, 2)), most: 2}
	store, p := new(refreshtest.FaultyStore), &graceful{given: make(map[string]successor)}
	trouble := func(_ context.Context, c refreshtest.StoreCall, do func() (bool, error)) error {
		if life.chance(60) {
			return refreshtest.ErrStoreDown
		}
		_, err := do()
		if c.Swap && life.chance(60) {
			return refreshtest.ErrStoreDown
		}
		return err
	}
	if seed%2 == 1 {
		life.most = 1
	}
	var all []*killable
	replica := func() *killable {
		k := &killable{story: life}
		k.alive, k.kill = context.WithCancel(t.Context())
		k.Sessions = &sessions.Sessions{
			Store: wayOf{k, store},
			Refresher: refresh.Func(func(ctx context.Context, old refresh.Tokens) (next refresh.Tokens, err error) {
				if k.call(func() error { next, err = p.Refresh(ctx, old); return nil }) != nil {
					<-ctx.Done() // nobody hears of it
					return refresh.Tokens{}, ctx.Err()
				}
				return next, err
			}),
		}
		all = append(all, k)
		return k
	}
	var mu sync.Mutex
	serving := []*killable{replica(), replica(), replica()}
	// at returns a replica; one that was killed is started anew a second later.
	at := func() *killable {
		n := life.number(len(serving))
		mu.Lock()
		defer mu.Unlock()
		for i := range serving {
			if k := serving[(n+i)%len(serving)]; !k.killed.Load() {
				return k
			}
		}
		serving[n] = replica()
		return serving[n]
	}
	var browsers sync.WaitGroup
	for b := range 3 {
		name := fmt.Sprint("user-", b)
		begin := &sessions.Sessions{Store: store, Refresher: new(provider)}
		tok, err := begin.Start(t.Context(), refresh.Tokens{Access: name, Refresh: name}, refresh.Identity{Issuer: "i", Subject: name})
		if err != nil {
			t.Fatal(err)
		}
		browsers.Go(func() {
			for range 12 {
				time.Sleep(time.Duration(life.number(100)) * time.Second)
				got := make([]refresh.Tokens, 1+life.number(4))
				var requests sync.WaitGroup
				for n := range got {
					requests.Go(func() {
						for try := 0; ; try++ {
							k := at()
							next, err := k.Refresh(k.alive, tok)
							switch {
							case k.killed.Load(): // the connection is gone
							case err == nil:
								got[n] = next
								return
							case errors.Is(err, refresh.ErrDenied) || try > 100:
								t.Errorf("%s, attempt %d: %v", name, try, err)
								return
							}
							time.Sleep(300 * time.Millisecond)
						}
					})
				}
				requests.Wait()
				if t.Failed() {
					return
				}
				if life.chance(4) {
					continue // every answer was lost
				}
				for _, g := range got {
					if g != got[0] {
						t.Errorf("%s: two answers differ", name)
					}
				}
				tok = got[0]
				if life.chance(2) {
					_ = at().Arrived(t.Context(), tok.Access)
				}
			}
		})
	}
	if seed%2 == 1 {
		store.Intercept(trouble)
	}
	browsers.Wait()
	store.Intercept(nil)
	mu.Lock()
	defer mu.Unlock()
	for _, k := range all {
		_ = k.Close()
		k.kill()
	}
	if p.reuses != 0 {
		t.Errorf("the provider saw %d reuses", p.reuses)
	}
	if t.Failed() {
		t.Logf("seed %d", seed)
	}
}
