package refresh

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// arrivals are the new access tokens that wait to be presented, and those that
// this process has seen.
type arrivals struct {
	waiting atomic.Int64 // len(leads), so that a request which needs nothing pays one load

	mu    sync.Mutex
	leads *simplelru.LRU[string, []lead] // by the new access token

	seed maphash.Seed
	seen []atomic.Uint64 // hashes of access tokens
	busy chan struct{}
}

// A lead is the record of this process of a result that led to new tokens.
type lead struct {
	key    string
	record record
}

const (
	maxSeen  = 1 << 15
	maxLeads = 32 // to one access token
)

func (a *arrivals) open() {
	a.leads, _ = simplelru.NewLRU[string, []lead](maxLogins, nil) // a constant above zero: no error
	a.seed = maphash.MakeSeed()
	a.busy = make(chan struct{}, 64)
	a.seen = make([]atomic.Uint64, maxSeen)
}

// expect says that access is new, and what led to it.
func (a *arrivals) expect(access string, led []lead) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.leads.Add(access, led)
	a.waiting.Store(int64(a.leads.Len()))
}

// take returns what led to access, if that is known, once.
func (a *arrivals) take(access string) (led []lead, known bool) {
	if a.waiting.Load() == 0 {
		return led, false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if led, known = a.leads.Peek(access); known {
		a.leads.Remove(access)
		a.waiting.Store(int64(a.leads.Len()))
	}
	return led, known
}

func (a *arrivals) slot(access string) (*atomic.Uint64, uint64) {
	h := maphash.String(a.seed, access) | 1
	return &a.seen[(h>>1)%maxSeen], h
}

// first reports whether access is seen for the first time, as far as is
// remembered.
func (a *arrivals) first(access string) bool {
	slot, h := a.slot(access)
	return slot.Load() != h && slot.Swap(h) != h
}

// forget makes the next sight of access the first one.
func (a *arrivals) forget(access string) {
	slot, h := a.slot(access)
	slot.CompareAndSwap(h, 0)
}

// tellLater calls tellArrival beside the request. Where much else is under way,
// it is left undone: it only makes records live longer.
func (c *Coordinator) tellLater(t Tokens, known bool) {
	again := func() {
		c.arrivals.forget(t.Access)
		if known {
			c.arrivals.expect(t.Access, nil)
		}
	}
	select {
	case c.arrivals.busy <- struct{}{}:
	default:
		again()
		return
	}
	started := c.flights.whileOpen(func() {
		c.wg.Go(func() {
			defer func() { <-c.arrivals.busy }()
			if err := c.tellArrival(context.Background(), t, known); err != nil {
				again()
				c.observeStore(context.Background(), err)
			}
		})
	})
	if !started {
		<-c.arrivals.busy
	}
}
