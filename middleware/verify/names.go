package verify

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// names finds a name that an object has twice. It compares few names one by
// one, and uses a map for more, so that a hostile object with thousands of
// names costs no more than the map.
type names struct {
	fold bool // names that differ only in case count as the same

	few  [24][]byte
	n    int
	mask uint64 // of the lengths and first letters in few
	many map[string]struct{}
}

// add adds name and reports whether it is new.
func (s *names) add(name []byte) bool {
	if s.many != nil {
		return s.addMany(name)
	}
	mark := uint64(1)
	if len(name) > 0 {
		// 0x1F drops the bit in which upper and lower case differ.
		mark <<= (uint(name[0]&0x1F) + uint(len(name))) & 63
	}
	if s.fold && !isASCII(name) {
		// Beyond ASCII, the upper and lower case of a letter can differ in
		// length.
		mark = ^uint64(0)
	}
	if s.mask&mark != 0 {
		for _, other := range s.few[:s.n] {
			if s.same(name, other) {
				return false
			}
		}
	}
	if s.n == len(s.few) {
		s.many = make(map[string]struct{}, 2*len(s.few))
		for _, other := range s.few {
			s.addMany(other)
		}
		return s.addMany(name)
	}
	s.few[s.n] = name
	s.n++
	s.mask |= mark
	return true
}

func (s *names) addMany(name []byte) bool {
	key := string(name)
	if s.fold && !isPlain(name) {
		// In two steps, as some letters have two lower-case forms with one
		// upper case.
		key = string(bytes.ToLower(bytes.ToUpper(name)))
	}
	if _, twice := s.many[key]; twice {
		return false
	}
	s.many[key] = struct{}{}
	return true
}

func (s *names) same(a, b []byte) bool {
	if s.fold {
		return bytes.EqualFold(a, b)
	}
	return bytes.Equal(a, b)
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

// isPlain reports whether name is ASCII without upper-case letters.
func isPlain(name []byte) bool {
	for _, c := range name {
		if 'A' <= c && c <= 'Z' || c >= 0x80 {
			return false
		}
	}
	return true
}

// otherCase reports whether name differs from one of known only in case. The
// known names are lower-case ASCII.
func otherCase(name []byte, known ...string) bool {
	if isPlain(name) {
		return false
	}
	letters := utf8.RuneCount(name)
	for _, k := range known {
		if len(k) == letters && strings.EqualFold(string(name), k) {
			return true
		}
	}
	return false
}
