package verify

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// encoding/json takes the last of two members with one name, matches names
// without regard to case and replaces broken UTF-8. With it, two programs could
// read different claims from one token. This scanner refuses such input. It
// checks RFC 8259 in one pass, passes the undecoded members of the outermost
// object to its caller, and allocates nothing for them.

// maxDepth bounds how deep objects and arrays may nest.
const maxDepth = 32

type scanner struct {
	data []byte
	pos  int
}

// members calls visit for each member of the object in data, with the decoded
// name and the undecoded value. It reports whether data is one strictly
// well-formed JSON object and visit returned true for each member. An object
// with a name twice is refused. In the outermost object, names that differ only
// in case count as one name.
func members(data []byte, visit func(name, value []byte) bool) bool {
	s := scanner{data: data}
	s.space()
	if s.peek() != '{' || !s.object(maxDepth, visit) {
		return false
	}
	s.space()
	return s.pos == len(s.data)
}

// elements calls visit for each undecoded element of value, a value that
// members has accepted. It reports whether value is an array and visit returned
// true for each element.
func elements(value []byte, visit func(element []byte) bool) bool {
	s := scanner{data: value}
	if s.peek() != '[' {
		return false
	}
	s.pos++
	for s.space(); s.peek() != ']'; s.space() {
		start := s.pos
		if !s.value(maxDepth) || !visit(s.data[start:s.pos]) {
			return false
		}
		if s.space(); s.peek() == ',' {
			s.pos++
		}
	}
	return true
}

// text decodes a value that is a string. It reports false for other values.
func text(value []byte) ([]byte, bool) {
	if len(value) < 2 || value[0] != '"' {
		return nil, false
	}
	return unescape(value[1 : len(value)-1])
}

// unescape decodes the escapes in the text between two quotes.
func unescape(inner []byte) ([]byte, bool) {
	if bytes.IndexByte(inner, '\\') < 0 {
		return inner, true
	}
	quoted := make([]byte, 0, len(inner)+2)
	quoted = append(append(append(quoted, '"'), inner...), '"')
	var out string
	if json.Unmarshal(quoted, &out) != nil {
		return nil, false
	}
	return []byte(out), true
}

// peek returns the next byte, or 0 at the end, with which no value begins.
func (s *scanner) peek() byte {
	if s.pos < len(s.data) {
		return s.data[s.pos]
	}
	return 0
}

func (s *scanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

func (s *scanner) value(depth int) bool {
	switch c := s.peek(); {
	case c == '"':
		_, ok := s.str()
		return ok
	case c == '{':
		return depth > 1 && s.object(depth-1, nil)
	case c == '[':
		return depth > 1 && s.array(depth-1)
	case c == '-' || '0' <= c && c <= '9':
		return s.number()
	default:
		return s.literal("true") || s.literal("false") || s.literal("null")
	}
}

func (s *scanner) literal(word string) bool {
	if !bytes.HasPrefix(s.data[s.pos:], []byte(word)) {
		return false
	}
	s.pos += len(word)
	return true
}

func (s *scanner) object(depth int, visit func(name, value []byte) bool) bool {
	s.pos++ // the brace
	seen := names{fold: depth == maxDepth}
	if s.space(); s.peek() == '}' {
		s.pos++
		return true
	}
	for {
		if s.peek() != '"' {
			return false
		}
		inner, ok := s.str()
		if !ok {
			return false
		}
		name, ok := unescape(inner)
		if !ok || !seen.add(name) {
			return false
		}
		if s.space(); s.peek() != ':' {
			return false
		}
		s.pos++
		s.space()
		start := s.pos
		if !s.value(depth) {
			return false
		}
		if visit != nil && !visit(name, s.data[start:s.pos]) {
			return false
		}
		s.space()
		switch s.peek() {
		case ',':
			s.pos++
			s.space()
		case '}':
			s.pos++
			return true
		default:
			return false
		}
	}
}

func (s *scanner) array(depth int) bool {
	s.pos++ // the bracket
	if s.space(); s.peek() == ']' {
		s.pos++
		return true
	}
	for {
		if s.space(); !s.value(depth) {
			return false
		}
		s.space()
		switch s.peek() {
		case ',':
			s.pos++
		case ']':
			s.pos++
			return true
		default:
			return false
		}
	}
}

func (s *scanner) number() bool {
	if s.peek() == '-' {
		s.pos++
	}
	if s.peek() == '0' {
		s.pos++
	} else if !s.digits() {
		return false
	}
	if s.peek() == '.' {
		s.pos++
		if !s.digits() {
			return false
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.pos++
		if c := s.peek(); c == '+' || c == '-' {
			s.pos++
		}
		return s.digits()
	}
	return true
}

func (s *scanner) digits() bool {
	start := s.pos
	for '0' <= s.peek() && s.peek() <= '9' {
		s.pos++
	}
	return s.pos > start
}

// str scans a string and returns the undecoded text between its quotes.
func (s *scanner) str() (inner []byte, ok bool) {
	data, start := s.data, s.pos+1
	for i := start; i < len(data); {
		switch c := data[i]; {
		case c == '"':
			s.pos = i + 1
			return data[start:i], true
		case c == '\\':
			n := escape(data[i:])
			if n == 0 {
				return nil, false
			}
			i += n
		case c < ' ':
			return nil, false
		case c < utf8.RuneSelf:
			i++
		default:
			r, n := utf8.DecodeRune(data[i:])
			if r == utf8.RuneError && n == 1 {
				return nil, false
			}
			i += n
		}
	}
	return nil, false
}

// escape returns the length of the escape at the start of b, or 0 if there is
// no valid one. Half of a surrogate pair is not valid: it stands for no
// character, and programs differ in how they read it.
func escape(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		switch r := hex4(b[2:]); {
		case r < 0 || 0xDC00 <= r && r < 0xE000:
			return 0
		case r < 0xD800 || r >= 0xE000:
			return 6
		}
		if len(b) < 8 || b[6] != '\\' || b[7] != 'u' {
			return 0
		}
		if low := hex4(b[8:]); low < 0xDC00 || low >= 0xE000 {
			return 0
		}
		return 12
	}
	return 0
}

// hex4 reads four hexadecimal digits, or returns -1.
func hex4(b []byte) rune {
	if len(b) < 4 {
		return -1
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return -1
		}
	}
	return r
}
