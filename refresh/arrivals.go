package refresh

import (
	"context"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// arrivals are the new access tokens that wait to be presented, and those that
// this process has seen.
type arrivals struct {
	waiting atomic.Int64 // so that a request which needs nothing pays one load

	mu    sync.Mutex
	leads *simplelru.LRU[key, *leads] // by the new access token

	seed maphash.Seed
	seen []atomic.Uint64 // hashes of access tokens
	busy chan struct{}
}

// leads are the results that have led to new tokens, in the ledger of this
// process. They are kept when the tokens have arrived, for the end of the login.
type leads struct {
	results []lead
	arrived bool
}

// A lead is one of them. Its record is nil when its time has been set.
type lead struct {
	key    string
	record record
}

const (
	maxSeen  = 1 << 15
	maxLeads = 8 // what led to one login's tokens
)

func (a *arrivals) open() {
	// The size is a constant above zero: the only error there is.
	a.leads, _ = simplelru.NewLRU(maxLogins, func(_ key, l *leads) {
		if !l.arrived {
			a.waiting.Add(-1)
		}
	})
	a.seed = maphash.MakeSeed()
	a.busy = make(chan struct{}, 64)
	a.seen = make([]atomic.Uint64, maxSeen)
}

// expect says that access is new, and what has led to it: a result, and what has
// led to the tokens with the access token before.
func (a *arrivals) expect(access string, result lead, before string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	led := []lead{result}
	if l, ok := a.leads.Peek(keyOf(before)); ok && before != access {
		led = append(led, l.results...)
		a.leads.Remove(keyOf(before))
	}
	a.leads.Remove(keyOf(access))
	a.leads.Add(keyOf(access), &leads{results: led[:min(len(led), maxLeads)]})
	a.waiting.Add(1)
}

// again undoes take for an arrival that could not be told.
func (a *arrivals) again(access string, known bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	slot, h := a.slot(access)
	slot.CompareAndSwap(h, 0)
	if l, ok := a.leads.Peek(keyOf(access)); ok && known && l.arrived {
		l.arrived = false
		a.waiting.Add(1)
	}
}

// take returns the results that led to access, if it waits to be presented.
func (a *arrivals) take(access string) (led []lead, known bool) {
	if a.waiting.Load() == 0 {
		return nil, false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	l, ok := a.leads.Peek(keyOf(access))
	if !ok || l.arrived {
		return nil, false
	}
	l.arrived = true
	a.waiting.Add(-1)
	led = slices.Clone(l.results)
	for i := range l.results {
		l.results[i].record = nil
	}
	return led, true
}

// before returns what has led to access.
func (a *arrivals) before(access string) []lead {
	a.mu.Lock()
	defer a.mu.Unlock()
	if l, ok := a.leads.Peek(keyOf(access)); ok {
		return slices.Clone(l.results)
	}
	return nil
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

// tellLater calls tellArrival beside the request. Where much else is under way,
// it is left undone: it only makes records live longer.
func (c *Coordinator) tellLater(t Tokens, known bool) {
	select {
	case c.arrivals.busy <- struct{}{}:
	default:
		c.arrivals.again(t.Access, known)
		return
	}
	started := c.flights.whileOpen(func() {
		c.wg.Go(func() {
			defer func() { <-c.arrivals.busy }()
			if err := c.tellArrival(context.Background(), t, known); err != nil {
				c.arrivals.again(t.Access, known)
				c.observeStore(context.Background(), err)
			}
		})
	})
	if !started {
		<-c.arrivals.busy
	}
}
