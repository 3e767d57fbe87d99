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
// name, or a piece of it under name.0 to name.9. Write uses as many pieces as
// MaxTotal allows; a slot exists for every digit, so that whatever looks like a
// piece of ours is removed along with the others.
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

// names knows the names of a policy's cookies and finds a cookie by its name
// without putting the name together.
type names struct {
	shield, refreshShield string // __Host-, __Secure- or nothing
	rest                  string // what Prefix has after that
	size                  [kinds]int
}

func (p *Policy) names() names {
	n := names{shield: hostPrefix, rest: p.Prefix}
	if p.Domain != "" {
		n.shield = securePrefix
	}
	for _, shield := range []string{hostPrefix, securePrefix} {
		if rest, ok := strings.CutPrefix(p.Prefix, shield); ok {
			n.shield, n.rest = shield, rest
		}
	}
	n.refreshShield = n.shield
	if p.hidesRefresh() {
		n.refreshShield = securePrefix
	}
	if p.InsecureHTTP {
		n.shield, n.refreshShield = "", ""
	}
	for k := range kinds {
		shield, rest, base := n.parts(k)
		n.size[k] = len(shield) + len(rest) + len(base)
	}
	return n
}

// parts returns the three parts of a cookie's name.
func (n *names) parts(k kind) (shield, rest, base string) {
	switch k {
	case accessToken:
		return n.shield, n.rest, Access
	case refreshToken:
		return n.refreshShield, n.rest, Refresh
	case idToken:
		return n.shield, n.rest, ID
	default:
		return "", "", Life
	}
}

// name returns the name of a cookie at a slot.
func (n *names) name(k kind, at slot) string {
	shield, rest, base := n.parts(k)
	if at == whole {
		return shield + rest + base
	}
	return shield + rest + base + "." + string(rune('0'+at-firstPiece))
}

// find returns which of the policy's cookies has the name, if any.
func (n *names) find(name string) (k kind, at slot, ok bool) {
	if dot := len(name) - 2; dot > 0 && name[dot] == '.' && '0' <= name[dot+1] && name[dot+1] <= '9' {
		at = firstPiece + slot(name[dot+1]-'0')
		name = name[:dot]
	}
	for k := range kinds {
		if len(name) != n.size[k] {
			continue
		}
		shield, rest, base := n.parts(k)
		if name[:len(shield)] == shield && name[len(shield):len(shield)+len(rest)] == rest && name[len(shield)+len(rest):] == base {
			// The marker is never split.
			return k, at, k != marker || at == whole
		}
	}
	return 0, 0, false
}
