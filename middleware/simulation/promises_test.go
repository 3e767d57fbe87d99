package simulation_test

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// simMoment is how far two events lie apart of which the first can be known to
// the second: a few looks at the store.
const simMoment = 5 * time.Millisecond

// simRecent is how long a fault can make itself felt: a claim left behind by a
// dead replica, and a caller's patience.
const simRecent = simClaim + simTimeout

// good reports whether nobody has ended the login, rightly or not.
func (l *simLogin) good() bool {
	return l != nil && l.dead == "" && l.ending.IsZero() && !l.mixed
}

// arrive notes that a request has come to its replica. The caller holds w.mu.
func (w *simWorld) arrive(q *simRequest) {
	w.totals.count["requests"]++
	p := strings.Split(q.access, "~")
	if len(p) == 7 {
		exp, _ := strconv.ParseInt(p[4], 10, 64)
		q.exp = time.Unix(0, exp)
		q.good = q.replica.accepts(q.exp, q.arrived)
	}
	w.log("browser %d to replica %d: %s with %s and %s, good: %t, thief: %t",
		q.browser.index, q.place, q.kind, simName(q.access), simName(q.refresh), q.good, q.thief)
	l := q.login
	if l == nil {
		return
	}
	// Whoever sends a token, it has been sent.
	for _, seen := range []map[int]time.Time{l.arrived, l.accepted} {
		if _, ok := seen[q.gen]; !ok {
			seen[q.gen] = q.arrived
		}
	}
	if (!q.good || q.gen < l.gen) && l.accepted[q.gen].Equal(q.arrived) {
		delete(l.accepted, q.gen)
	}
	if since, ok := l.successor(l.arrived, q.gen); q.thief && ok && q.arrived.Sub(since) > simGrace-time.Second {
		for g := q.gen; g < l.gen; g++ { // from there he is led on
			l.replayed[g] = true
		}
	}
	if (q.kind == "logout" || q.kind == "sign-in") && l.ending.IsZero() {
		l.ending, l.endedBy = q.arrived, q.replica
	}
}

// successor returns when a token newer than gen was first seen.
func (l *simLogin) successor(seen map[int]time.Time, gen int) (first time.Time, ok bool) {
	for g, at := range seen {
		if g > gen && (!ok || at.Before(first)) {
			first, ok = at, true
		}
	}
	return first, ok
}

// sight is the provider seeing a refresh token. It returns the reason why that
// is not the first time, if there is one that excuses it. The caller holds w.mu.
func (w *simWorld) sight(call *simCall) (reason string) {
	call.sighted = true
	_, gen := simNumbers(call.old.Access)
	for _, d := range call.grant.calls {
		_, dgen := simNumbers(d.old.Access)
		if d == call || !d.sighted || w.plan.mode == rotateNothing && dgen != gen {
			continue
		}
		over := !d.end.IsZero()
		if over && d.lost == "" && !d.processed { // it was refused
			continue
		}
		if over && d.lost != "" {
			reason = d.lost
			w.askedAgain(d)
			continue
		}
		if reason = w.excuse(d, call); reason == "" {
			w.breach("1", "the provider sees %s again: replica %d had asked with it %s before, and was %s",
				simName(call.grant.token), d.replica.index, time.Since(d.start), map[bool]string{true: "answered", false: "still waiting"}[over])
			return ""
		}
	}
	return reason
}

// excuse tells why a replica could not know of a call that has brought tokens,
// or is under way. The caller holds w.mu.
func (w *simWorld) excuse(d, call *simCall) string {
	now, l := time.Now(), call.login
	until := now
	if !d.end.IsZero() {
		until = d.end.Add(simClaim)
	}
	switch {
	case l.replayed[call.grant.gen]:
		return "thief"
	case l.overtaken:
		return "answers overtook each other"
	case d.replica.isDead() && !w.plan.shared:
		return "replica killed"
	case d.replica.isDead() && d.replica.deadAt.Sub(d.end) < simMoment:
		return "replica killed"
	case !w.plan.shared:
		return "" // one process, which has been there itself
	case w.plan.mode == rotateNothing && l.mixed:
		return "another's tokens" // which have no generation of this login
	case w.plan.mode == rotateNothing && d.processed && now.Sub(d.end) > w.plan.life-10*time.Second:
		return "what it brought has expired"
	case w.plan.mode == rotateNothing && w.killedSince(d.start):
		return "replica killed" // its claim stood in the place of the result; such a token can be used again
	case d.replica.storeFailed(d.start.Add(-simTimeout/2), until), call.replica.storeFailed(call.start.Add(-simRecent), now):
		return "store out of reach"
	case simWithin(w.store.wiped, d.start.Add(-simMoment), now), simWithin(w.store.wiped, call.start, now): // its claim is older than its call
		return "store wiped"
	case d.replica.isDead() && d.replica.storeSlow(d.start, d.replica.deadAt) && d.replica.deadAt.Sub(d.end) < simRecent:
		return "replica killed"
	}
	return ""
}

// lose is the end of a login because a refresh token was used again. The caller
// holds w.mu.
func (w *simWorld) lose(l *simLogin, g *simGrant, reason string) {
	switch {
	case reason == "thief":
		w.totals.count["thieves caught"]++
	case reason == "":
		w.totals.count["lost logins"]++
		w.breach("2", "login %d is lost: the provider has seen %s twice, and nothing excuses that", l.id, simName(g.token))
	default:
		if w.plan.mode != rotateStrict {
			reason += ", and nobody came in the provider's grace"
		}
		w.totals.unsavable[reason]++
		w.log("login %d could not be saved: %s", l.id, reason)
	}
}

// final checks an answer when its final header goes out. The caller does not
// hold w.mu.
func (w *simWorld) final(q *simRequest, status int, h http.Header) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if q.replica.isDead() {
		return
	}
	now := time.Now()
	cookies := (&http.Response{Header: h}).Cookies()
	line := make(map[string]*http.Cookie)
	for _, c := range cookies {
		if line[c.Name] != nil {
			w.breach("7", "two lines for the cookie %s", c.Name)
		}
		line[c.Name] = c
	}
	what := "nothing"
	cleared, written := false, false
	if c := line[simRefreshCookie]; c != nil {
		cleared, written = c.MaxAge < 0, c.MaxAge >= 0
		what = map[bool]string{true: "no cookies", false: simName(c.Value)}[cleared]
	}
	w.log("replica %d answers %s of browser %d (%s) with %d, sets %s", q.place, q.kind, q.browser.index, simName(q.access), status, what)
	if len(cookies) > 0 && (len(h["Cache-Control"]) != 1 || h["Cache-Control"][0] != "private, no-store") {
		w.breach("7", "cookies in an answer with Cache-Control %q", h["Cache-Control"])
	}
	if q.kind == "sign-in" || q.kind == "logout" {
		if l := q.login; l != nil && l.ended.IsZero() {
			l.ended = now
			w.totals.count["logouts"]++
		}
		q.deliver(status, cookies, now)
		return
	}
	if written {
		w.checkWritten(q, line, now)
	}
	upstream := h.Get("X-Upstream") != ""
	w.checkAnswer(q, status, upstream, cleared, written)
	if q.thief {
		w.checkThief(q, status)
	}
	q.deliver(status, cookies, now)
}

// checkWritten checks the cookies of an answer. The caller holds w.mu.
func (w *simWorld) checkWritten(q *simRequest, line map[string]*http.Cookie, now time.Time) {
	a := line[simAccessCookie]
	if a == nil {
		w.breach("2", "a refresh cookie without an access cookie")
		return
	}
	l := w.loginOf(a.Value)
	_, gen := simNumbers(a.Value)
	rl, rgen := simNumbers(line[simRefreshCookie].Value)
	switch {
	case l == nil || l != q.login || rl != l.id:
		w.breach("4", "the cookies of a request with %s became %s and %s", simName(q.refresh), simName(a.Value), simName(line[simRefreshCookie].Value))
		return
	case w.plan.mode != rotateNothing && rgen != gen:
		w.breach("1", "%s goes with %s in one answer", simName(a.Value), simName(line[simRefreshCookie].Value))
	}
	since := now.Add(-simRecent)
	if !l.ended.IsZero() && now.Sub(l.ended) > simMoment && w.toldOfEnd(q, l, gen) {
		w.breach("5", "login %d was ended %s ago, and %s is written", l.id, now.Sub(l.ended), simName(a.Value))
	}
	if gen < l.written && now.Sub(l.writtenT) > simMoment && !l.forked &&
		(!w.plan.shared || !q.replica.storeSlow(since, now) && !w.anyStoreFailed(l.issued[gen+1].Add(-simRecent), now)) {
		w.breach("5", "%s is written %s after generation %d", simName(a.Value), now.Sub(l.writtenT), l.written)
	}
	if gen > l.written {
		l.written, l.writtenT = gen, now
	}
}

// toldOfEnd reports whether the replica of q can be expected to know that its user
// has ended l, of which it has generation gen. The caller holds w.mu.
func (w *simWorld) toldOfEnd(q *simRequest, l *simLogin, gen int) bool {
	now := time.Now()
	switch {
	case l.dead == "ended by the provider", l.dead == "used again":
		return false // that may be all that is known here
	case l.forked && w.plan.mode == rotateNew:
		// The provider has made two logins of it, of which nobody can know that
		// they are one. That it was asked twice is excused, or not, where it was.
		return false
	case !w.plan.shared:
		if l.endedBy.isDead() {
			return false // who knew of it is gone, and the provider would refuse
		}
		for g := gen + 1; g <= l.gen; g++ {
			if l.issued[g].Before(l.endedBy.bornAt) {
				return false // what led on to the tokens that it ended with is gone, too
			}
		}
		return true
	}
	for g := gen + 1; g <= l.gen; g++ {
		if w.anyStoreFailed(l.issued[g].Add(-simRecent), l.issued[g].Add(simRecent)) {
			return false // what leads on to the tokens that it ended with may not be told
		}
	}
	return !l.endedBy.storeFailed(l.ending, l.ended) && !q.replica.storeSlow(now.Add(-simRecent), now) &&
		!w.anyStoreFailed(l.ending.Add(-simRecent), now) &&
		!simWithin(w.store.wiped, l.issued[gen], now) // it has lost what led from the one to the other
}

// anyStoreFailed reports whether the store failed any replica in a time, or lost
// what it had. The caller holds w.mu.
func (w *simWorld) anyStoreFailed(from, to time.Time) bool {
	return simWithin(w.store.wiped, from, to) ||
		slices.ContainsFunc(w.all, func(r *simReplica) bool { return r.storeFailed(from, to) })
}

// anyStoreSlow reports whether it did, or made any replica wait.
func (w *simWorld) anyStoreSlow(from, to time.Time) bool {
	return simWithin(w.store.wiped, from, to) ||
		slices.ContainsFunc(w.all, func(r *simReplica) bool { return r.storeSlow(from, to) })
}

// checkAnswer checks what an answer does to the login. The caller holds w.mu.
func (w *simWorld) checkAnswer(q *simRequest, status int, upstream, cleared, written bool) {
	l, now := q.login, time.Now()
	waited := now.Sub(q.arrived)
	if !q.began.IsZero() {
		waited = q.began.Sub(q.arrived)
	}
	if waited > 3*simTimeout+time.Second {
		w.breach("9", "a request waited for %s", waited)
	}
	if l == nil {
		return
	}
	if l.good() && !q.thief && (cleared || status == http.StatusUnauthorized && !upstream) {
		w.breach("2", "login %d is good, and a request with %s is answered with %d, cookies cleared: %t", l.id, simName(q.refresh), status, cleared)
	}
	if cleared && !q.thief && !l.ended.IsZero() && now.Sub(l.ended) > simMoment && now.Sub(l.ending) < simGrace && w.toldOfEnd(q, l, q.gen) {
		w.breach("2", "login %d was ended %s ago, and a request of it clears what may have come since", l.id, now.Sub(l.ended))
	}
	app := q.kind != "refresh"
	if app && status != http.StatusOK && !upstream && q.good && now.Before(q.exp) {
		w.breach("2", "%s is good, and answered with %d", simName(q.access), status)
	}
	if status == http.StatusServiceUnavailable && q.ctx.Err() == nil { // else it is to nobody
		w.totals.count["503"]++
		if !q.thief && !w.cause(q) {
			w.breach("2", "503 for %s, and nothing is wrong", simName(q.refresh))
		}
	}
	// Who was cut off from the store for long cannot tell what is the newest.
	unknown := w.plan.shared && now.Sub(q.arrived) > simGrace/2 && q.replica.storeFailed(q.arrived, now)
	if (app && status == http.StatusOK && !q.good || status == http.StatusNoContent) && l.good() && !written && !unknown {
		w.breach("1", "a request with %s is answered with %d and without the new cookies", simName(q.refresh), status)
	}
}

// cause reports whether something is or was wrong that can be felt by q. The caller
// holds w.mu.
func (w *simWorld) cause(q *simRequest) bool {
	now := time.Now()
	from := q.arrived.Add(-simRecent)
	if q.login.trouble.After(from) || w.down || w.downAt.After(from) || q.login.mixed ||
		q.replica.storeSlow(from, now) || simWithin(w.store.wiped, from, now) {
		return true
	}
	for _, r := range w.all {
		if r.isDead() && r.deadAt.After(from) || r.storeSlow(from, now) {
			return true
		}
	}
	for _, g := range q.login.grants {
		for _, c := range g.calls {
			if c.end.IsZero() && now.Sub(c.start) > time.Second {
				return true
			}
		}
	}
	return false
}

// checkThief checks that old tokens are worth nothing for long. The caller holds
// w.mu.
func (w *simWorld) checkThief(q *simRequest, status int) {
	l := q.login
	if l == nil || q.good || status != http.StatusOK || w.plan.mode == rotateNothing {
		return
	}
	since, ok := l.successor(l.accepted, q.gen)
	if !ok || q.arrived.Sub(since) < simGrace+simGrace/2+simMoment+time.Second+w.plan.apart() || w.plan.shared && w.anyStoreSlow(l.issued[q.gen+1].Add(-simRecent), time.Now()) {
		return // what shortens the life of a result is told to the store once
	}
	if l.forked {
		return // he had it from the provider, in its own grace
	}
	w.breach("1", "%s is answered, though its successor came %s ago", simName(q.refresh), q.arrived.Sub(since))
}

// keep is the browser reading the cookies of an answer. The caller holds w.mu.
func (w *simWorld) keep(q *simRequest, cookies []*http.Cookie, written time.Time) {
	b := q.browser
	was := w.loginOf(b.cookie(simRefreshCookie))
	_, before := simNumbers(b.cookie(simAccessCookie))
	if len(cookies) > 0 {
		w.log("browser %d reads the cookies of %s (%s)", b.index, q.kind, simName(q.access))
	}
	for _, c := range cookies {
		switch {
		case c.MaxAge < 0:
			delete(b.jar, c.Name)
		case c.MaxAge == 0:
			b.jar[c.Name] = stored{value: c.Value}
		default:
			b.jar[c.Name] = stored{c.Value, time.Now().Add(time.Duration(c.MaxAge) * time.Second)}
		}
	}
	is := w.loginOf(b.cookie(simRefreshCookie))
	if _, after := simNumbers(b.cookie(simAccessCookie)); was == is && is != nil && after < before {
		is.overtaken = true // on the way: when it was written is checked elsewhere
	}
	if was == nil || was == is || !was.good() || q.kind == "sign-in" || q.kind == "logout" {
		return
	}
	// An answer to a request of an older login has taken the place of this one.
	// No server can help it if both were on their way at the same time.
	if q.login == was || is == nil && written.Sub(was.begun) > simRecent {
		w.breach("2", "an answer to a request of login %d has taken login %d from browser %d", q.login.id, was.id, b.index)
		return
	}
	if written.Sub(was.begun) > simRecent {
		// Promise 5 is checked where it was written. What is left: the provider has
		// ended the older login, or the store was out of reach, and who wrote this
		// did not know.
		w.totals.count["late answers over a new login"]++
		return
	}
	w.totals.count["crossings"]++
}

func (w *simWorld) killedSince(t time.Time) bool {
	for _, r := range w.all {
		if r.isDead() && r.deadAt.After(t) {
			return true
		}
	}
	return false
}
