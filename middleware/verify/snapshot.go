package verify

import "time"

// A snapshot holds the keys of one fetch. It does not change.
type snapshot struct {
	keys     map[string]*key
	renewed  bool // keys that were there before count as new ones
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

// key returns the key that h names, or nil. A token that names none can only
// mean the one key of a set that has one.
func (s *snapshot) key(h *header) *key {
	if s == nil {
		return nil
	}
	if h.hasKid {
		return s.keys[string(h.kid)]
	}
	if len(s.keys) == 1 {
		for _, k := range s.keys {
			return k
		}
	}
	return nil
}
