package cookies

import (
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"strings"

	"github.com/tokenlife/tokenlife/refresh"
)

// carried is what a request carries of our cookies.
type carried [kinds]struct {
	value          string            // under the cookie's own name
	pieces         [maxPieces]string // under name.0, name.1, …
	present, twice slotSet
}

// scan notes every cookie of ours in the lines of a Cookie header. It passes
// over each byte a fixed number of times and allocates nothing, so that the
// header of a hostile client costs no more than its length.
func (c *carried) scan(n *names, lines []string) {
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
				value = "" // counts as a cookie of this name, and is not believed
			}
			f := &c[k]
			if f.present.has(at) {
				f.twice.add(at)
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

// cutPart cuts the first part, up to a semicolon, off a line of a Cookie header.
func cutPart(line string) (part, rest string, more bool) {
	if i := strings.IndexByte(line, ';'); i >= 0 {
		return line[:i], line[i+1:], true
	}
	return line, "", false
}

// cutPair returns the name and the value in a part of a Cookie header. Blanks
// between the name and the equals sign come from no browser, but what reads the
// request after us may overlook them: exact is false then, and where there is
// no equals sign.
func cutPair(part string) (name, value string, exact bool) {
	part = textproto.TrimString(part)
	name, value, exact = strings.Cut(part, "=")
	if trimmed := textproto.TrimString(name); trimmed != name {
		return trimmed, value, false
	}
	return name, value, exact
}

// Read returns the tokens in a request's cookies. What is absent is empty, and
// so are the times: the marker could tell one, but grants nothing.
//
// The error, where there is one, names each cookie that is there and cannot be
// believed: two cookies of one name, a value that Write does not write, pieces
// that do not belong together, a seal that does not open. It holds no values,
// and the tokens of the other cookies are returned beside it. Believed means
// well-formed: only a verifier can tell what a token is worth.
//
// Unsealed cookies in one piece are read without allocating.
func (p Policy) Read(r *http.Request) (refresh.Tokens, error) {
	var t refresh.Tokens
	var c carried
	n := p.names()
	if err := p.look(&n, &c, r); err != nil {
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

// ReadAccess returns the access token alone, as [Policy.Read] does, for requests
// that need no other: it neither opens nor checks the rest. It also leaves it to
// the verifier, who must look at each byte anyway, to refuse an unsealed token
// with bytes that Write would have encoded.
func (p Policy) ReadAccess(r *http.Request) (string, error) {
	var c carried
	n := p.names()
	if err := p.look(&n, &c, r); err != nil {
		return "", err
	}
	return p.token(&n, &c, accessToken, func(value string) (string, bool) {
		if value != "" && strings.IndexByte(value, '%') < 0 {
			return value, true
		}
		return decode(value)
	})
}

// look notes what a request carries.
func (p *Policy) look(n *names, c *carried, r *http.Request) error {
	if err := p.Validate(); err != nil {
		return err
	}
	c.scan(n, r.Header["Cookie"])
	return nil
}

// token returns the token in one of the cookies. Unless sealed it is decoded.
func (p *Policy) token(n *names, c *carried, k kind, decode func(string) (string, bool)) (string, error) {
	f := &c[k]
	value := f.value
	switch {
	case f.present.has(whole):
		// A cookie that is whole decides alone. Pieces beside it are left over
		// from a time when the token was longer.
		if f.twice.has(whole) {
			return "", unbelieved(n, k, "came twice")
		}
		if n.size[k]+len(value) > maxPair {
			return "", unbelieved(n, k, "is longer than a browser stores")
		}
	case f.present.has(firstPiece):
		if f.twice != 0 {
			return "", unbelieved(n, k, "came twice in part")
		}
		var ok bool
		if value, ok = join(&f.pieces); !ok {
			return "", unbelieved(n, k, "is in pieces that do not belong together")
		}
	default:
		// Without a first piece others say nothing.
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
