package verify

import (
	"strings"
	"sync/atomic"
)

// recentSlots is how many tokens are found without hashing them: those in use
// just now, as a page sends its requests all at once.
const recentSlots = 512

// A recents is a small table in front of the cache. Tokens in it are compared
// as they are and not hashed, as the hash is most of the cost of a cached
// token.
//
// The comparison ends at the first machine word that differs. An attacker
// cannot use its timing to guess a token byte by byte: to learn one byte, the
// rest of its word would have to be guessed too.
type recents[T any] [recentSlots]atomic.Pointer[recent[T]]

type recent[T any] struct {
	raw  string
	r    *T
	used atomic.Bool // since admit last tried to replace it
}

// slot returns the slot for a token, chosen by the end of its signature, which
// is as good as random.
func (s *recents[T]) slot(raw string) *atomic.Pointer[recent[T]] {
	var h uint32
	for i := max(0, len(raw)-8); i < len(raw); i++ {
		h = h*31 + uint32(raw[i])
	}
	return &s[h%recentSlots]
}

// find returns the token in the slot if it has these bytes, or nil.
func find[T any](slot *atomic.Pointer[recent[T]], raw string) *T {
	e := slot.Load()
	if e == nil || e.raw != raw {
		return nil
	}
	if !e.used.Load() {
		e.used.Store(true)
	}
	return e.r
}

// admit puts a cached token into its slot at every fourth time that it is
// found, which seen counts, unless the token that is there has been used since
// admit last tried. Tokens that come once therefore evict nothing and cost no
// copy.
func admit[T any](slot *atomic.Pointer[recent[T]], raw string, r *T, seen *atomic.Uint32) {
	if seen.Add(1)%4 != 0 {
		return
	}
	if e := slot.Load(); e != nil && e.used.Swap(false) {
		return
	}
	// Cloned, because raw is a part of a request's header, which would
	// otherwise stay in memory.
	slot.Store(&recent[T]{raw: strings.Clone(raw), r: r})
}
