package cookies

import "strings"

// A kind is one of the cookies of a login.
type kind int

const (
	accessToken kind = iota
	refreshToken
	idToken
	marker
	kinds
)

// A slot is a place where a cookie's value can be: whole under the cookie's own
// name, or a piece of it under name.0 to name.9. Write uses no more pieces than
// MaxTotal allows. There is a slot for every digit all the same, so that each
// cookie with the name of a piece is removed along with the others.
type slot int

const (
	whole      slot = 0
	firstPiece slot = 1
	slots      slot = 11
)

// slotSet is a set of slots, one bit for each.
type slotSet uint16

func (s slotSet) has(i slot) bool { return s&(1<<i) != 0 }
func (s *slotSet) add(i slot)     { *s |= 1 << i }

// names holds the parts of the names of a policy's cookies. It finds a cookie
// by its name without allocating.
type names struct {
	prefix, refreshPrefix string     // __Host-, __Secure- or nothing
	infix                 string     // the rest of Policy.Prefix
	size                  [kinds]int // the length of each name
}

func (p *Policy) names() names {
	n := names{prefix: hostPrefix, infix: p.Prefix}
	if p.Domain != "" {
		n.prefix = securePrefix
	}
	for _, prefix := range []string{hostPrefix, securePrefix} {
		if rest, ok := strings.CutPrefix(p.Prefix, prefix); ok {
			n.prefix, n.infix = prefix, rest
		}
	}
	n.refreshPrefix = n.prefix
	if p.hidesRefresh() {
		n.refreshPrefix = securePrefix
	}
	if p.InsecureHTTP {
		n.prefix, n.refreshPrefix = "", ""
	}
	for k := range kinds {
		prefix, infix, base := n.parts(k)
		n.size[k] = len(prefix) + len(infix) + len(base)
	}
	return n
}

// parts returns the three parts of a cookie's name, in their order.
func (n *names) parts(k kind) (prefix, infix, base string) {
	switch k {
	case accessToken:
		return n.prefix, n.infix, Access
	case refreshToken:
		return n.refreshPrefix, n.infix, Refresh
	case idToken:
		return n.prefix, n.infix, ID
	default:
		return "", "", Life
	}
}

// name returns the name of a cookie at a slot.
func (n *names) name(k kind, at slot) string {
	prefix, infix, base := n.parts(k)
	if at == whole {
		return prefix + infix + base
	}
	return prefix + infix + base + "." + string(rune('0'+at-firstPiece))
}

// find returns the cookie of the policy that has the name, if one has.
func (n *names) find(name string) (k kind, at slot, ok bool) {
	if dot := len(name) - 2; dot > 0 && name[dot] == '.' && '0' <= name[dot+1] && name[dot+1] <= '9' {
		at = firstPiece + slot(name[dot+1]-'0')
		name = name[:dot]
	}
	for k := range kinds {
		if len(name) != n.size[k] {
			continue
		}
		prefix, infix, base := n.parts(k)
		if name[:len(prefix)] == prefix && name[len(prefix):len(prefix)+len(infix)] == infix && name[len(prefix)+len(infix):] == base {
			// The marker is never split.
			return k, at, k != marker || at == whole
		}
	}
	return 0, 0, false
}
