package verify

import "time"

// A snapshot holds the keys of one fetch. It does not change.
type snapshot struct {
	parsedSet
	byID     map[string][]*key // the same keys; without an ID: ""
	renewed  bool              // keys that were there before count as new ones
	url      string
	etag     string
	loaded   time.Duration // when the fetch that confirmed it began
	lifetime time.Duration
}

func (s *snapshot) usable(at time.Duration, l *limits) bool {
	return s != nil && at <= s.loaded+l.maxStale
}

func (s *snapshot) young(at time.Duration) bool {
	return s != nil && at < s.loaded+s.lifetime
}

// index sets byID.
func (s *snapshot) index() {
	s.byID = make(map[string][]*key, len(s.keys))
	for _, k := range s.keys {
		s.byID[k.KID] = append(s.byID[k.KID], k)
	}
}

// named returns the keys that h can mean: those of its kid, or all if it has
// none. It returns nil if none of them fits the header's algorithm.
func (s *snapshot) named(h *header) []*key {
	if s == nil {
		return nil
	}
	keys := s.keys
	if h.hasKid {
		keys = s.byID[string(h.kid)]
	}
	for _, k := range keys {
		if k.fits(h.alg) {
			return keys
		}
	}
	return nil
}

// twin returns the key of s that is the same as k, or nil.
func (s *snapshot) twin(k *key) *key {
	if s == nil {
		return nil
	}
	for _, other := range s.byID[k.KID] {
		if other.same(k) {
			return other
		}
	}
	return nil
}
