package cookies

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
)

// A baked cookie has its name, its value and its age in seconds.
type baked struct {
	kind        kind
	slot        slot
	name, value string
	age         int
}

// bake turns the tokens of a login into cookies, or says why that cannot be.
func (p *Policy) bake(n *names, t refresh.Tokens) ([]baked, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if t.Access == "" {
		return nil, errors.New("cookies: no access token to write")
	}
	now := time.Now()
	age := p.loginAge(t, now)
	out := make([]baked, 0, 4)
	total := 0
	add := func(k kind, at slot, value string, age int) {
		c := baked{k, at, n.name(k, at), value, age}
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

// loginAge returns for how long the cookies of a login are kept, in seconds:
// until nothing in them can be used any more.
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
// the browser sent it, or nil where there is none. It must be called before the
// header is sent.
//
// All cookies of a login, the access token's included, live as long as the
// login: until RefreshExpiry, or for Lifetime where that is not known, or as
// long as the access token where there is no refresh token. The access cookie
// outlives the token in it on purpose: at a refresh it tells whose login this
// was. The marker alone ends before the access token does. Where Expiry is zero
// or has passed there is nothing to schedule, and the marker is deleted.
//
// Cookies of a former login that t has none of are deleted, as are pieces that
// are no longer needed, in so far as r has them. Without r, or for a refresh
// cookie that RefreshPath hides, those are deleted that would be mistaken for a
// part of this login. Set-Cookie lines of the same names that w already has are
// replaced, all others stay. Cache-Control becomes "private, no-store", and
// what would overrule that for a shared cache is removed.
//
// An error leaves w as it was: an invalid policy, no access token, or more than
// [MaxTotal] bytes.
func (p Policy) Write(w http.ResponseWriter, r *http.Request, t refresh.Tokens) error {
	n := p.names()
	login, err := p.bake(&n, t)
	if err != nil {
		return err
	}
	h := w.Header()
	lines, stale := p.survey(&n, h, r)
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
			stale[k].add(whole) // it would be believed before the pieces
		default:
			stale[k].add(whole)
			stale[k].add(firstPiece)
		}
		stale[k] &^= written[k]
	}
	p.put(&n, h, lines, stale)
	return nil
}

// Clear ends a login in the browser: it deletes the cookies of ours that r has,
// with all their pieces, and those set on w before. Without r, or for a refresh
// cookie that RefreshPath hides, it deletes the names that a login begins with.
// The marker becomes "0" until the browser ends, which tells scripts in every
// tab that asking for a new token is of no use. Cache-Control is set as by
// [Policy.Write].
//
// An invalid policy has never written a cookie and clears none.
func (p Policy) Clear(w http.ResponseWriter, r *http.Request) {
	if p.Validate() != nil {
		return
	}
	n := p.names()
	h := w.Header()
	lines, stale := p.survey(&n, h, r)
	for k := range kinds {
		if k != marker && p.unseen(k, r) {
			stale[k].add(whole)
			stale[k].add(firstPiece)
		}
	}
	stale[marker] = 0
	lines = append(lines, p.setCookie(marker, Life, signedOut, 0))
	p.put(&n, h, lines, stale)
}

// survey returns the Set-Cookie lines of others in a response's header, and
// which of our cookies the browser has or was about to get.
func (p *Policy) survey(n *names, h http.Header, r *http.Request) (others []string, ours [kinds]slotSet) {
	if r != nil {
		var c carried
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

// put sets the lines, and one for each cookie to be deleted, on a header that
// no cache will keep.
func (p *Policy) put(n *names, h http.Header, lines []string, stale [kinds]slotSet) {
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
