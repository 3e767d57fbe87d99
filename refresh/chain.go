package refresh

import (
	"slices"
	"time"
)

// This is the book's other half: how logins grow, end and are forgotten.

func (b *book) page(k key) (*page, bool) {
	if p, ok := b.pages.Get(k); ok {
		return p, true
	}
	p, ok := b.pinned[k]
	return p, ok
}

// succeed notes that old has been exchanged for next; since tells when, as far
// as that is known.
func (b *book) succeed(l *login, old, next Tokens, since time.Time) {
	if l.newest.Access == next.Access && l.generation > 0 {
		return // another replica's tokens, which have been here before
	}
	now := time.Now()
	if p, ok := b.page(keyOf(next.Refresh)); ok && next.Refresh != l.newest.Refresh {
		// A provider that answers a token twice has given what had been exchanged
		// in its turn. Older is not newer for having come later.
		if p.login != l {
			b.join(l, p)
		}
		if p.generation < p.login.generation || p.login.over != nil {
			b.write(p.login, keyOf(old.Refresh), p.generation-1, since)
			return
		}
		l = p.login
	}
	delete(b.awaited, l.newest.Access)
	l.newest = next
	l.generation++
	l.until = now.Add(b.keep)
	b.write(l, keyOf(old.Refresh), l.generation-1, since)
	b.write(l, keyOf(next.Refresh), l.generation, time.Time{})
	b.awaited[next.Access] = l
	b.unseen.Store(int64(len(b.awaited)))
	b.sweep(now)
}

// join makes l a part of the login that p leads to, older than p.
func (b *book) join(l *login, p *page) {
	m := p.login
	b.unawait(l)
	for _, q := range l.pages {
		q.login, q.generation = m, p.generation-1
	}
	m.pages = append(m.pages, l.pages...)
	m.held += l.held
	l.joined, l.pages = m, nil
}

// write makes refresh token k lead to l.
func (b *book) write(l *login, k key, generation int, since time.Time) {
	if p, ok := b.page(k); ok {
		if p.login == l { // a provider that does not rotate, or the page of the generation before
			p.generation, p.since, p.until = generation, since, l.until
			return
		}
		b.drop(p)
	}
	p := &page{key: k, login: l, generation: generation, since: since, until: l.until}
	l.pages = append(l.pages, p)
	b.pages.Add(k, p)
}

// end marks the login of t as over, for the reason given, and returns its newest
// tokens.
func (b *book) end(t Tokens, why error) Tokens {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	id := keyOf(t.Refresh)
	newest := t
	if p, ok := b.page(id); ok && p.login.over == nil {
		newest = p.login.newest
		b.finish(p.login, why, now)
	}
	if k, ok := b.calls[id]; ok { // its first refresh: no page leads there yet
		b.finish(k.login.whole(), why, now)
	}
	b.refused.Add(id, refusal{why, now, now.Add(b.keep)})
	return newest
}

// finish ends l; its pages stay, so that all of its tokens are refused.
func (b *book) finish(l *login, why error, now time.Time) {
	if l.over != nil {
		return
	}
	l.over, l.overSince = why, now
	l.until = now.Add(b.keep)
	b.unawait(l)
	l.newest = Tokens{}
}

// presented notes that access has been, and tells whether that was awaited.
func (b *book) presented(access string) bool {
	if b.unseen.Load() == 0 {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.arrived(access, time.Now())
}

func (b *book) arrived(access string, now time.Time) bool {
	l, awaited := b.awaited[access]
	if awaited {
		b.arrive(l, now)
	}
	return awaited
}

// arrive notes that the newest tokens of l are where they belong. Older ones are
// of use for grace from now; a later sight does not lengthen that.
func (b *book) arrive(l *login, now time.Time) {
	if _, first := b.awaited[l.newest.Access]; !first {
		return
	}
	b.unawait(l)
	end := now.Add(b.grace)
	l.until = end
	for _, p := range l.pages {
		if p.generation < l.generation && end.Before(p.until) {
			p.until = end
		}
	}
}

// sweep forgets what has had its time, often enough that what is kept stays
// within twice what is needed, and seldom enough to cost nothing per call.
func (b *book) sweep(now time.Time) {
	if b.pages.Len() < b.sweepAt {
		return
	}
	for _, p := range b.pages.Values() {
		if l := p.login; l.held == 0 && !now.Before(l.until) ||
			p.generation < l.generation && !now.Before(p.until) {
			b.drop(p)
		}
	}
	b.sweepAt = max(1024, 2*b.pages.Len())
}

func (b *book) drop(p *page) {
	b.pages.Remove(p.key) // calls evicted
	delete(b.pinned, p.key)
	b.forget(p)
}

// evicted is called when a page leaves pages, by drop or for want of room.
func (b *book) evicted(k key, p *page) {
	l := p.login
	if l.held > 0 && p.generation == l.generation && l.over == nil {
		// A response that is being written needs to learn of successors.
		b.pinned[k] = p
		return
	}
	b.forget(p)
}

// forget takes a page that leads nowhere any more from its login.
func (b *book) forget(p *page) {
	l := p.login
	l.pages = slices.DeleteFunc(l.pages, func(q *page) bool { return q == p })
	if p.generation == l.generation {
		b.unawait(l)
	}
}

// unawait takes the newest access token of l from those whose sight would tell
// something.
func (b *book) unawait(l *login) {
	delete(b.awaited, l.newest.Access)
	b.unseen.Store(int64(len(b.awaited)))
}
