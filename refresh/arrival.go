package refresh

import (
	"context"
	"hash/maphash"
	"sync/atomic"
)

// Presented tells that a client has sent this access token in a cookie: so the
// tokens that came with it have arrived, and Grace begins for the older ones.
// It costs a few nanoseconds where nothing waits for that.
func (c *Coordinator) Presented(access string) {
	c.init()
	awaited := c.book.presented(access)
	if c.sh != nil && c.sight.first(access) || c.sh == nil && awaited && c.arriver != nil {
		c.tellArrival(access)
	}
}

// tellArrival lets older tokens' time run out in the Store as well. It is only
// for that, and is left undone where much else is under way.
func (c *Coordinator) tellArrival(access string) {
	select {
	case c.sight.busy <- struct{}{}:
	default:
		c.sight.forget(access)
		return
	}
	started := c.book.whileOpen(func() {
		c.wg.Go(func() {
			defer func() { <-c.sight.busy }()
			if err := c.arrived(context.Background(), access); err != nil {
				c.sight.forget(access)
				c.degraded(context.Background(), err)
			}
		})
	})
	if !started {
		<-c.sight.busy
	}
}

// arrived passes the word on to the Store and to a Refresher that wants to know.
func (c *Coordinator) arrived(ctx context.Context, access string) (err error) {
	if c.sh != nil {
		news, err := c.sh.arrived(ctx, access)
		if err != nil || !news {
			return err
		}
	}
	if c.arriver == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.wait)
	defer cancel()
	defer caught(&err, "Refresher")
	return c.arriver.Arrived(ctx, access)
}

// sight remembers which access tokens this process has seen. It forgets when it
// likes, which costs one look at the Store.
type sight struct {
	seed  maphash.Seed
	slots []atomic.Uint64
	busy  chan struct{}
}

func (s *sight) open(shared bool) {
	s.seed = maphash.MakeSeed()
	s.busy = make(chan struct{}, 64)
	s.slots = make([]atomic.Uint64, 1)
	if shared {
		s.slots = make([]atomic.Uint64, 1<<15)
	}
}

func (s *sight) slot(access string) (*atomic.Uint64, uint64) {
	h := maphash.String(s.seed, access) | 1
	return &s.slots[(h>>1)%uint64(len(s.slots))], h
}

// first tells whether access is seen for the first time, as far as is remembered.
func (s *sight) first(access string) bool {
	slot, h := s.slot(access)
	return slot.Load() != h && slot.Swap(h) != h
}

func (s *sight) forget(access string) {
	slot, h := s.slot(access)
	slot.CompareAndSwap(h, 0)
}
