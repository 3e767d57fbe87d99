package refresh

import (
	"sync"
	"sync/atomic"
	"time"
)

// held are the Renewals that have not been released yet, by the newest refresh
// token that they know of. They are told what it is exchanged for, and when its
// login ends.
type held struct {
	news atomic.Uint64 // how often something has been told

	mu sync.Mutex
	by map[string]*holders
}

// holders are the Renewals with one refresh token: a list, as ten thousand of
// them come and go together.
type holders struct{ first *Renewal }

func (h *held) add(r *Renewal) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.put(r)
}

// put adds r under its newest tokens. The caller holds mu.
func (h *held) put(r *Renewal) {
	same := h.by[r.newest.Refresh]
	if same == nil {
		if h.by == nil {
			h.by = make(map[string]*holders)
		}
		same = new(holders)
		h.by[r.newest.Refresh] = same
	}
	r.in, r.next = same, same.first
	if r.next != nil {
		r.next.previous = r
	}
	same.first = r
}

func (h *held) remove(r *Renewal) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.drop(r)
}

// drop is remove for a caller that holds mu.
func (h *held) drop(r *Renewal) {
	if r.in == nil {
		return // it was removed before
	}
	if r.next != nil {
		r.next.previous = r.previous
	}
	if r.previous != nil {
		r.previous.next = r.next
	} else if r.in.first = r.next; r.next == nil {
		delete(h.by, r.newest.Refresh)
	}
	r.in, r.next, r.previous = nil, nil, nil
}

// newest returns what r knows, since when, and why the login has ended.
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

// catchUp tells r what its tokens were exchanged for before it was added, unless
// it has been told of others since.
func (h *held) catchUp(r *Renewal, from, newest Tokens) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r.newest.Access == from.Access {
		h.move(r, newest)
	}
}

// each calls f for all that hold a refresh token. It may give a Renewal another
// one.
func (h *held) each(refreshToken string, f func(r *Renewal)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.news.Add(1)
	same := h.by[refreshToken]
	if same == nil {
		return
	}
	for r := same.first; r != nil; {
		next := r.next
		f(r)
		r = next
	}
}

// advance tells those that hold a refresh token what it was exchanged for.
func (h *held) advance(refreshToken string, newest Tokens) {
	h.each(refreshToken, func(r *Renewal) {
		r.knownAt = time.Now()
		h.move(r, newest)
	})
}

// end tells those that hold a refresh token why its login has ended.
func (h *held) end(refreshToken string, why error) {
	h.each(refreshToken, func(r *Renewal) { r.ended = why })
}

// move makes newest what r knows. The caller holds mu.
func (h *held) move(r *Renewal, newest Tokens) {
	if newest.Refresh == r.newest.Refresh {
		r.newest = newest
		return
	}
	h.drop(r)
	r.newest = newest
	h.put(r)
}
