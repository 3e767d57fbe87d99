package verify

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
)

// parts are the undecoded parts of a token in the compact serialisation of RFC
// 7515 section 7.1.
type parts struct {
	header, payload, signature string
	signed                     string // header and payload, and the dot between them
}

// split splits a token into its parts. It reports false unless there are three.
func split(raw string) (p parts, ok bool) {
	first := strings.IndexByte(raw, '.')
	if first < 0 {
		return p, false
	}
	n := strings.IndexByte(raw[first+1:], '.')
	if n < 0 {
		return p, false
	}
	second := first + 1 + n
	p = parts{raw[:first], raw[first+1 : second], raw[second+1:], raw[:second]}
	return p, strings.IndexByte(p.signature, '.') < 0
}

// strict decodes base64url without padding, and with zero in the unused bits of
// the last character (RFC 7515 section 2). It skips line breaks, as Go's
// decoder does, so callers have to refuse those first.
var strict = base64.RawURLEncoding.Strict()

// decodeSegment decodes a part of a token into buf, and grows buf if necessary.
func decodeSegment(buf []byte, segment string) ([]byte, bool) {
	if strings.IndexByte(segment, '\n') >= 0 || strings.IndexByte(segment, '\r') >= 0 {
		return buf[:0], false // the decoder would skip them
	}
	// The decoder reads a []byte. The copy is stored behind the result, so that
	// one buffer holds both without overlap.
	n := strict.DecodedLen(len(segment))
	buf = slices.Grow(buf[:0], n+len(segment))
	source := append(buf[n:n], segment...)
	n, err := strict.Decode(buf[:n], source)
	return buf[:n], err == nil
}

// A header holds the parameters of the JOSE header of a token (RFC 7515 section
// 4) that this package reads. Its fields point into the buffer that it was
// decoded into.
//
// jku, jwk, x5u and x5c are not among them: a token names the key of its issuer
// that signed it, and cannot supply a key.
type header struct {
	alg    *algorithm
	kid    []byte
	hasKid bool
	typ    []byte // without "application/"; empty if the header has none
}

// parse reads a decoded header.
func (h *header) parse(data []byte) error {
	var reason error
	ok := members(data, func(name, value []byte) bool {
		var ok bool
		switch string(name) {
		case "alg":
			var alg []byte
			if alg, ok = text(value); !ok {
				reason = refusal("alg is not a string")
			} else if h.alg = algorithms[string(alg)]; h.alg == nil {
				reason, ok = refusal("alg is none that is supported"), false
			}
		case "kid":
			if h.kid, ok = text(value); !ok {
				reason = refusal("kid is not a string")
			}
			h.hasKid = true
		case "typ":
			if h.typ, ok = text(value); !ok || len(h.typ) == 0 {
				reason, ok = refusal("typ is not a string"), false
			} else if len(h.typ) > 12 && bytes.EqualFold(h.typ[:12], []byte("application/")) {
				h.typ = h.typ[12:]
			}
		case "crit", "b64":
			// RFC 7515 section 4.1.11: a header with unknown extensions must
			// be refused. This package knows none.
			reason = refusal("header has extensions")
		default:
			ok = !otherCase(name, "alg", "kid", "typ", "crit", "b64")
		}
		return ok
	})
	switch {
	case reason != nil:
		return reason
	case !ok:
		return refusal("header is not a plain JSON object")
	case h.alg == nil:
		return refusal("header has no alg")
	}
	return nil
}

// unknownKey is the error for a header that can mean no key of its issuer.
func (h *header) unknownKey() error {
	if !h.hasKid {
		return errNoKid
	}
	return errUnknownKey
}
