package cookies

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
)

// A loginCookie is one cookie of a login; age is in seconds.
type loginCookie struct {
	kind        kind
	slot        slot
	name, value string
	age         int
}

// encodeLogin returns the cookies for the tokens of a login.
func (p *Policy) encodeLogin(n *names, t refresh.Tokens) ([]loginCookie, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if t.Access == "" {
		return nil, errors.New("cookies: no access token to write")
	}
	now := time.Now()
	age := p.loginAge(t, now)
	out := make([]loginCookie, 0, 4)
	total := 0
	add := func(k kind, at slot, value string, age int) {
		c := loginCookie{k, at, n.name(k, at), value, age}
		total += len(c.name) + len(c.value)
		out = append(out, c)
	}
	for k, token := range [...]string{accessToken: t.Access, refreshToken: t.Refresh, idToken: t.ID} {
		k := kind(k)
		if token == "" || !p.keeps(k) {
			continue
		}
		name := n.name(k, whole)
		if len(token) > MaxTotal { // not worth sealing
			return nil, fmt.Errorf("cookies: %s alone is over the limit of %d bytes for a login", name, MaxTotal)
		}
		value := encode(token)
		if p.Keys != nil {
			value = p.Keys.Seal(name, []byte(token))
		}
		if len(name)+len(value) <= maxPair {
			add(k, whole, value, age)
			continue
		}
		for i, piece := range split(name, value) {
			add(k, firstPiece+slot(i), piece, age)
		}
	}
	if value, age := p.mark(t.Access, t.Expiry, now); value != "" {
		add(marker, whole, value, age)
	}
	if total > MaxTotal {
		return nil, fmt.Errorf("cookies: a login of %d bytes is over the limit of %d", total, MaxTotal)
	}
	return out, nil
}

// loginAge returns how long the browser is to keep the cookies of a login, in
// seconds: until none of its tokens can be used any more.
func (p *Policy) loginAge(t refresh.Tokens, now time.Time) int {
	age := p.Lifetime
	if age == 0 {
		age = maxAge
	}
	end := t.RefreshExpiry
	if t.Refresh == "" {
		end = t.Expiry
	} else if !end.IsZero() && t.Expiry.After(end) {
		end = t.Expiry
	}
	if !end.IsZero() {
		age = end.Sub(now)
	}
	return seconds(age)
}

// Write sets the cookies of a login on a response to r, which is the request as
// the browser sent it, or nil if there is none. It must be called before the
// header is sent.
//
// All cookies of a login, the access token's included, live as long as the
// login: until RefreshExpiry, or for Lifetime if that is not known, or as long
// as the access token if there is no refresh token. The access cookie is meant
// to outlive its token: at a refresh it says whose login this is. Only the
// marker ends before the access token does. If Expiry is zero or has passed,
// the marker is deleted.
//
// Cookies of r that this login does not have, pieces included, are deleted. The
// browser may have cookies that r does not show, if r is nil or RefreshPath
// hides the refresh cookie. Of those Write deletes the ones that a later Read
// would take for a part of this login. Set-Cookie lines that w already has for
// the same names are replaced; all others stay. Cache-Control becomes "private,
// no-store", and header fields that would overrule it for a shared cache are
// removed.
//
// Write fails for an invalid policy, without an access token, and if the
// cookies have more than [MaxTotal] bytes. It leaves w as it was then.
func (p Policy) Write(w http.ResponseWriter, r *http.Request, t refresh.Tokens) error {
	n := p.names()
	login, err := p.encodeLogin(&n, t)
	if err != nil {
		return err
	}
	h := w.Header()
	lines, stale := p.existing(&n, h, r)
	var written [kinds]slotSet
	for _, c := range login {
		lines = append(lines, p.setCookie(c.kind, c.name, c.value, c.age))
		written[c.kind].add(c.slot)
	}
	for k := range kinds {
		switch {
		case k == marker:
			stale[k].add(whole)
		case !p.unseen(k, r) || written[k].has(whole):
		case written[k] != 0:
			stale[k].add(whole) // Read would use it instead of the pieces
		default:
			stale[k].add(whole)
			stale[k].add(firstPiece)
		}
		stale[k] &^= written[k]
	}
	p.set(&n, h, lines, stale)
	return nil
}

// Clear ends a login in the browser. It deletes the policy's cookies that r
// has, with all their pieces, and those set on w before. For cookies that r
// does not show (r is nil, or RefreshPath hides the refresh cookie) it deletes
// the whole cookie and its first piece, without which there is no token. The
// marker becomes "0" until the browser is closed, by which scripts in every tab
// know that they need not ask for a refresh. Cache-Control is set as by
// [Policy.Write].
//
// Clear does nothing if the policy is invalid, as that has never written a
// cookie.
func (p Policy) Clear(w http.ResponseWriter, r *http.Request) {
	if p.Validate() != nil {
		return
	}
	n := p.names()
	h := w.Header()
	lines, stale := p.existing(&n, h, r)
	for k := range kinds {
		if k != marker && p.unseen(k, r) {
			stale[k].add(whole)
			stale[k].add(firstPiece)
		}
	}
	stale[marker] = 0
	lines = append(lines, p.setCookie(marker, Life, signedOut, 0))
	p.set(&n, h, lines, stale)
}

// existing returns the Set-Cookie lines of a response's header that are not
// ours, and which of our cookies the browser has or the header sets.
func (p *Policy) existing(n *names, h http.Header, r *http.Request) (others []string, ours [kinds]slotSet) {
	if r != nil {
		var c parsed
		c.scan(n, r.Header["Cookie"])
		for k := range kinds {
			ours[k] = c[k].present
		}
	}
	for _, line := range h["Set-Cookie"] {
		part, _, _ := cutPart(line)
		name, _, _ := cutPair(part)
		if k, at, ok := n.find(name); ok {
			ours[k].add(at)
		} else {
			others = append(others, line)
		}
	}
	return others, ours
}

// unseen reports whether the browser may have a cookie that r does not show.
func (p *Policy) unseen(k kind, r *http.Request) bool {
	return p.keeps(k) && (r == nil || k == refreshToken && p.hidesRefresh())
}

// set sets the lines, and one more for each stale cookie to delete it, and
// keeps caches from storing the response.
func (p *Policy) set(n *names, h http.Header, lines []string, stale [kinds]slotSet) {
	for k := range kinds {
		for at := range slots {
			if stale[k].has(at) {
				lines = append(lines, p.setCookie(k, n.name(k, at), "", -1))
			}
		}
	}
	h["Set-Cookie"] = lines
	h.Set("Cache-Control", "private, no-store")
	for name := range h {
		// Fields for one kind of cache overrule the general one (RFC 9213).
		if strings.HasSuffix(name, "-Cache-Control") || name == "Surrogate-Control" {
			delete(h, name)
		}
	}
}
