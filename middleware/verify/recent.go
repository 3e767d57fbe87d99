package verify

import (
	"strings"
	"sync/atomic"
)

// recentSlots is how many tokens are known by their bytes: those that are in
// use just now, since a page sends its requests all at once.
const recentSlots = 512

// A recents is a small front of the memory: for the tokens in it not even the
// sum has to be computed, which is most of what a remembered token costs.
//
// A token is compared as a whole. That the comparison ends at the first word
// that differs tells an attacker nothing that can be put to use: to learn a
// byte by its time, the rest of its machine word would have to be guessed too.
type recents [recentSlots]atomic.Pointer[recent]

type recent struct {
	raw  string
	r    *cachedToken
	used atomic.Bool // since another token asked for the slot
}

// slot returns where a token may be. The end of a token is that of its
// signature, and as good as random.
func (s *recents) slot(raw string) *atomic.Pointer[recent] {
	var h uint32
	for i := max(0, len(raw)-8); i < len(raw); i++ {
		h = h*31 + uint32(raw[i])
	}
	return &s[h%recentSlots]
}

// find returns what is remembered of a token, or nil.
func find(slot *atomic.Pointer[recent], raw string) *cachedToken {
	e := slot.Load()
	if e == nil || e.raw != raw {
		return nil
	}
	if !e.used.Load() {
		e.used.Store(true)
	}
	return e.r
}

// admit puts a remembered token into its slot if it has come several times, and
// if the one that is there has not come since it was last asked to go. So users
// that come once push nobody out, and cost no copy.
func admit(slot *atomic.Pointer[recent], raw string, r *cachedToken) {
	if r.seen.Add(1)%4 != 0 {
		return
	}
	if e := slot.Load(); e != nil && e.used.Swap(false) {
		return
	}
	// Cloned, because raw is a piece of a request's whole header.
	slot.Store(&recent{raw: strings.Clone(raw), r: r})
}
