package refresh

import (
	"sync"
	"sync/atomic"
	"time"
)

// held are the Renewals that were not released yet, by the newest refresh token
// that they know of. They are told what becomes of it.
type held struct {
	news atomic.Uint64 // how often something has been told

	mu sync.Mutex
	by map[string]map[*Renewal]struct{}
}

func (h *held) add(r *Renewal) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.put(r)
}

// put adds r under its newest tokens. The caller holds mu.
func (h *held) put(r *Renewal) {
	if h.by == nil {
		h.by = make(map[string]map[*Renewal]struct{})
	}
	if h.by[r.newest.Refresh] == nil {
		h.by[r.newest.Refresh] = make(map[*Renewal]struct{})
	}
	h.by[r.newest.Refresh][r] = struct{}{}
}

func (h *held) remove(r *Renewal) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.drop(r)
}

// drop is remove for a caller that holds mu.
func (h *held) drop(r *Renewal) {
	delete(h.by[r.newest.Refresh], r)
	if len(h.by[r.newest.Refresh]) == 0 {
		delete(h.by, r.newest.Refresh)
	}
}

// newest returns what r knows, and since when.
func (h *held) newest(r *Renewal) (newest Tokens, at time.Time, ended error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return r.newest, r.knownAt, r.ended
}

// confirm says that what r knows is the newest now.
func (h *held) confirm(r *Renewal) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r.knownAt = time.Now()
}

// catchUp tells r what its tokens were exchanged for before it was added,
// unless it has been told of others since.
func (h *held) catchUp(r *Renewal, from, newest Tokens) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r.newest.Access != from.Access {
		return
	}
	h.drop(r)
	r.newest = newest
	h.put(r)
}

// advance tells those that hold a refresh token what it was exchanged for.
func (h *held) advance(refreshToken string, newest Tokens) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.news.Add(1)
	all := h.by[refreshToken]
	if newest.Refresh != refreshToken {
		delete(h.by, refreshToken)
	}
	for r := range all {
		r.newest, r.knownAt = newest, time.Now()
		h.put(r)
	}
}

// end tells those that hold a refresh token why its login has ended.
func (h *held) end(refreshToken string, why error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.news.Add(1)
	for r := range h.by[refreshToken] {
		r.ended = why
	}
}
