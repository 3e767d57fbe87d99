package simulation_test

import "time"

// askedAgain checks that a lost answer was asked for once more, while the
// provider would have given it. The caller holds w.mu.
func (w *simWorld) askedAgain(d *simCall) {
	const soon = 8 * time.Second // three times, if need be
	until := d.end.Add(soon)
	if w.plan.mode == rotateStrict || w.plan.mode == rotateNothing || d.lost != "answer lost" || time.Since(d.end) < soon ||
		d.login.dead != "" || !d.login.ending.IsZero() || w.plan.shared && w.anyStoreSlow(d.start, until) {
		return
	}
	if d.replica.storeFailed(d.start.Add(-simTimeout/2), d.start) {
		return // it was asked without the store, which may have the answer of another call
	}
	_, gen := simNumbers(d.old.Access)
	if since, ok := d.login.successor(d.login.arrived, gen); ok && since.Before(d.start) {
		return // the browser has what followed: this was an old token that came back
	}
	if d.login.torn(d.start) {
		return // of the two logins that a thief has made of it, the replica went on with the other
	}
	for _, r := range w.all {
		if r.isDead() && r.deadAt.After(d.start) && r.deadAt.Before(until) {
			return
		}
	}
	before := 0
	for _, c := range d.grant.calls {
		if c != d && c.start.After(d.end) && c.start.Before(until) {
			return
		}
		if c.processed && c.lost == "" && (d.start.Sub(c.end) > w.plan.grace || simWithin(w.store.wiped, c.end, d.start)) {
			return // the store had forgotten that it was exchanged: for long, or the replica knows what for
		}
		if c.processed && c.lost == "" && !c.end.Before(d.start) && c.end.Before(until) {
			return // another replica, which had asked as well, has brought it meanwhile
		}
		if c.start.Before(d.start) && d.start.Sub(c.start) < 30*time.Second {
			before++
		}
		if c != d && d.end.Sub(d.start) == 2*simTimeout && c.end.Sub(c.start) == 2*simTimeout && d.start.Sub(c.end) < soon {
			return // twice it was too slow
		}
	}
	if before >= 3 {
		return // it was the last time that somebody asked again
	}
	w.breach("2", "an answer for %s was lost %s ago, and nobody has asked again", simName(d.grant.token), time.Since(d.end))
}

// torn reports whether a thief has presented tokens of the login, and the provider had
// answered one of its tokens twice before at: there are two branches then, and what
// followed in one is no answer to what was lost in the other.
func (l *simLogin) torn(at time.Time) bool {
	for _, g := range l.grants {
		answers := 0
		for _, c := range g.calls {
			if c.processed && !c.end.IsZero() && c.end.Before(at) {
				answers++
			}
		}
		if answers > 1 && len(l.replayed) > 0 {
			return true
		}
	}
	return false
}
