package cookies

import (
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"strings"

	"github.com/tokenlife/tokenlife/refresh"
)

// parsed holds the cookies of a login that a request has.
type parsed [kinds]struct {
	value              string            // under the cookie's own name
	pieces             [maxPieces]string // under name.0, name.1, …
	present, duplicate slotSet
}

// scan stores every cookie of ours in the lines of a Cookie header. It reads
// each byte a fixed number of times and allocates nothing, so that the header
// of a hostile client costs no more than its length.
func (c *parsed) scan(n *names, lines []string) {
	for _, line := range lines {
		for more := true; more; {
			var part string
			part, line, more = cutPart(line)
			name, value, exact := cutPair(part)
			k, at, ours := n.find(name)
			if !ours {
				continue
			}
			if !exact {
				value = "" // present, but with a value that is never accepted
			}
			f := &c[k]
			if f.present.has(at) {
				f.duplicate.add(at)
			}
			f.present.add(at)
			switch i := int(at - firstPiece); {
			case at == whole:
				f.value = value
			case i < maxPieces:
				f.pieces[i] = value
			}
		}
	}
}

// cutPart cuts the first part, up to a semicolon, off a line of a Cookie
// header.
func cutPart(line string) (part, rest string, more bool) {
	if i := strings.IndexByte(line, ';'); i >= 0 {
		return line[:i], line[i+1:], true
	}
	return line, "", false
}

// cutPair returns the name and the value in a part of a Cookie header. No
// browser sends blanks between the name and the equals sign, but a server
// behind this one may ignore them. Then exact is false, as it is without an
// equals sign.
func cutPair(part string) (name, value string, exact bool) {
	part = textproto.TrimString(part)
	name, value, exact = strings.Cut(part, "=")
	if trimmed := textproto.TrimString(name); trimmed != name {
		return trimmed, value, false
	}
	return name, value, exact
}

// Read returns the tokens in a request's cookies. A token is empty if its
// cookie is absent, and the times are always zero: the marker has one, but
// anybody can write it.
//
// The error names each cookie that is present and not well-formed: two cookies
// of one name, a value that Write does not write, pieces that do not belong
// together, a seal that does not open. It holds no values, and the tokens of
// the other cookies are returned beside it. The tokens are not verified.
//
// Unsealed cookies in one piece are read without allocating.
func (p Policy) Read(r *http.Request) (refresh.Tokens, error) {
	var t refresh.Tokens
	var c parsed
	n := p.names()
	if err := p.parse(&n, &c, r); err != nil {
		return t, err
	}
	var bad [3]error
	t.Access, bad[0] = p.token(&n, &c, accessToken, decode)
	t.Refresh, bad[1] = p.token(&n, &c, refreshToken, decode)
	if p.KeepID {
		t.ID, bad[2] = p.token(&n, &c, idToken, decode)
	}
	return t, errors.Join(bad[:]...)
}

// ReadAccess returns the access token as [Policy.Read] does, for requests that
// need no other token. It neither opens nor checks the other cookies. It does
// not refuse an unsealed token for bytes that Write would have encoded: the
// verifier reads each byte anyway and refuses them.
func (p Policy) ReadAccess(r *http.Request) (string, error) {
	var c parsed
	n := p.names()
	if err := p.parse(&n, &c, r); err != nil {
		return "", err
	}
	return p.token(&n, &c, accessToken, func(value string) (string, bool) {
		if value != "" && strings.IndexByte(value, '%') < 0 {
			return value, true
		}
		return decode(value)
	})
}

// parse validates the policy and reads the cookies of a request into c.
func (p *Policy) parse(n *names, c *parsed, r *http.Request) error {
	if err := p.Validate(); err != nil {
		return err
	}
	c.scan(n, r.Header["Cookie"])
	return nil
}

// token returns the token in one of the cookies, opened if the policy seals,
// and decoded by decode otherwise.
func (p *Policy) token(n *names, c *parsed, k kind, decode func(string) (string, bool)) (string, error) {
	f := &c[k]
	value := f.value
	switch {
	case f.present.has(whole):
		// A whole cookie counts alone. Pieces beside it are left over from an
		// earlier, longer token.
		if f.duplicate.has(whole) {
			return "", unbelieved(n, k, "came twice")
		}
		if n.size[k]+len(value) > maxPair {
			return "", unbelieved(n, k, "is longer than a browser stores")
		}
	case f.present.has(firstPiece):
		if f.duplicate != 0 {
			return "", unbelieved(n, k, "came twice in part")
		}
		var ok bool
		if value, ok = join(&f.pieces); !ok {
			return "", unbelieved(n, k, "is in pieces that do not belong together")
		}
	default:
		// Other pieces without the first one count as no cookie.
		return "", nil
	}
	if p.Keys != nil {
		plain, err := p.Keys.Open(n.name(k, whole), value)
		if err != nil || len(plain) == 0 {
			return "", unbelieved(n, k, "does not open")
		}
		return string(plain), nil
	}
	token, ok := decode(value)
	if !ok {
		return "", unbelieved(n, k, "is empty or holds bytes that are never written")
	}
	return token, nil
}

func unbelieved(n *names, k kind, why string) error {
	return fmt.Errorf("cookies: %s %s", n.name(k, whole), why)
}
