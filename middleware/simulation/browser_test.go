package simulation_test

import (
	"context"
	"net/http"
	"time"
)

// The cookies of the zero Policy.
const (
	simAccessCookie  = "__Host-accessToken"
	simRefreshCookie = "__Host-refreshToken"
	simMarker        = "tokenLife"
)

// A stored is a cookie as a browser keeps it.
type stored struct {
	value string
	until time.Time // zero: until the session ends
}

// A simBrowser is a jar of cookies that several tabs share.
type simBrowser struct {
	world *simWorld
	index int
	phase time.Duration // of the moments when all tabs wake up

	// Guarded by the world's lock.
	jar      map[string]stored
	ctx      context.Context // ends when the lid closes
	close    context.CancelFunc
	asleep   time.Time // until then
	signing  bool
	signedIn int // how often
}

func newSimBrowser(w *simWorld, i int) *simBrowser {
	b := &simBrowser{world: w, index: i, jar: make(map[string]stored)}
	b.phase = between(w.plan.rng(9, uint64(i)), 0, w.plan.life)
	b.ctx, b.close = context.WithCancel(context.Background())
	return b
}

// leave closes the lid for a time: no answer arrives that is under way.
func (b *simBrowser) leave(d time.Duration) {
	w := b.world
	w.mu.Lock()
	defer w.mu.Unlock()
	b.close()
	b.ctx, b.close = context.WithCancel(context.Background())
	b.asleep = time.Now().Add(d)
	w.totals.count["away"]++
	w.log("! browser %d closes its lid for %s", b.index, d)
}

// awake waits until the lid is open.
func (b *simBrowser) awake(r simRand) {
	for {
		b.world.mu.Lock()
		left := time.Until(b.asleep)
		b.world.mu.Unlock()
		if left <= 0 {
			return
		}
		<-time.After(left + between(r, 0, 100*time.Millisecond))
	}
}

func (b *simBrowser) cookie(name string) string {
	c, ok := b.jar[name]
	if !ok || !c.until.IsZero() && !time.Now().Before(c.until) {
		return ""
	}
	return c.value
}

// tab is the life of one tab.
func (b *simBrowser) tab(n int) {
	w := b.world
	r := w.plan.rng(10, uint64(b.index), uint64(n))
	for visit := range w.plan.visits {
		gap := between(r, 0, 2*time.Second)
		switch r.IntN(4) {
		case 0:
			gap = between(r, w.plan.life/4, w.plan.life*5/4)
		case 1:
			gap = between(r, 0, 4*w.plan.life)
		case 2: // with the other tabs, when a token has ended
			every := w.plan.life * 11 / 10
			gap = every - (time.Since(w.begin)+b.phase)%every
			if r.IntN(2) == 0 {
				gap += between(r, 0, 200*time.Millisecond)
			}
		}
		<-time.After(gap + w.pause(r.who))
		b.awake(r)
		b.visit(r, uint64(n*1000+visit))
	}
}

// visit loads a page: a few requests at a time, and again where it was not
// served for now.
func (b *simBrowser) visit(r simRand, n uint64) {
	together := r.IntN(3) == 0
	count, wait := 1+r.IntN(4), between(r, 500*time.Millisecond, 1500*time.Millisecond)
	for try := range 5 {
		if !b.signedInNow() {
			b.signIn(b.world.plan.rng(12, uint64(b.index), n, uint64(try)))
			return
		}
		requests := make([]*simRequest, count)
		for i := range requests {
			own := b.world.plan.rng(11, uint64(b.index), n, uint64(try), uint64(i))
			kind := [...]string{"page", "page", "page", "hints", "export", "stream", "upstream", "refresh"}[own.IntN(8)]
			requests[i] = b.request(own, kind)
			if together {
				requests[i].up = 20*time.Millisecond + time.Duration(i)*simPause + b.world.pause(own.who)
			}
			requests[i].send()
		}
		again := false
		for _, q := range requests {
			again = q.wait() == http.StatusServiceUnavailable || again
		}
		if !again {
			return
		}
		<-time.After(wait)
		b.awake(r)
	}
}

func (b *simBrowser) signedInNow() bool {
	b.world.mu.Lock()
	defer b.world.mu.Unlock()
	return b.cookie(simRefreshCookie) != ""
}

// signIn begins a login, of another user each time.
func (b *simBrowser) signIn(r simRand) {
	w := b.world
	w.mu.Lock()
	if b.signing {
		w.mu.Unlock()
		return
	}
	b.signing = true
	w.mu.Unlock()
	q := b.request(r, "sign-in")
	q.send()
	q.wait()
	w.mu.Lock()
	b.signing = false
	w.mu.Unlock()
}

// mishaps are what befalls a browser and its user.
func (b *simBrowser) mishaps() {
	w := b.world
	r := w.plan.rng(13, uint64(b.index))
	for n := range 10 {
		<-time.After(between(r, w.plan.life/4, w.plan.life*3/2))
		b.awake(r)
		soon, kind := between(r, 0, 120*time.Millisecond), r.IntN(6)
		away := between(r, 0, [...]time.Duration{5 * time.Second, 2 * time.Minute, time.Hour}[r.IntN(3)])
		first := b.request(w.plan.rng(14, uint64(b.index), uint64(n)), [...]string{"page", "refresh"}[n%2])
		second := w.plan.rng(15, uint64(b.index), uint64(n))
		switch {
		case kind == 0 && w.plan.mode != rotateNothing && w.plan.happens(r, "thief"):
			b.steal(second)
		case kind == 1 && w.plan.happens(r, "ended by the provider"):
			w.mu.Lock()
			if l := w.loginOf(b.cookie(simRefreshCookie)); l != nil && l.dead == "" {
				l.dead = "ended by the provider"
				w.fault(l.dead, "login %d", l.id)
			}
			w.mu.Unlock()
		case kind <= 3 && w.plan.happens(r, "away"):
			first.send()
			<-time.After(soon)
			b.leave(away)
		case kind <= 4 && w.plan.happens(r, "logout"):
			first.send()
			<-time.After(soon)
			q := b.request(second, "logout")
			q.send()
			q.wait()
		case w.plan.happens(r, "sign-in again"):
			first.send()
			<-time.After(soon)
			b.signIn(second)
		}
	}
}

// steal copies the cookies and presents them again and again from elsewhere.
func (b *simBrowser) steal(r simRand) {
	w := b.world
	w.mu.Lock()
	jar := &simBrowser{world: w, index: b.index, jar: make(map[string]stored), ctx: context.Background()}
	for name, c := range b.jar {
		jar.jar[name] = c
	}
	w.fault("thief", "at browser %d", b.index)
	w.mu.Unlock()
	w.work.Go(func() {
		for range 25 {
			<-time.After(between(r, time.Second, simGrace-2*time.Second))
			q := jar.request(w.plan.rng(r.Uint64()), "page")
			q.thief = true
			q.send()
			if q.wait() == http.StatusUnauthorized {
				return
			}
		}
	})
}

// lastVisit is made when the faults are over.
func (b *simBrowser) lastVisit() {
	w := b.world
	q := b.request(w.plan.rng(16, uint64(b.index)), "page")
	if q.login == nil {
		return
	}
	q.send()
	status := q.wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if q.login.good() && status != http.StatusOK {
		w.totals.count["lost logins"]++
		w.breach("3", "browser %d has login %d, which is good, and is answered with %d", b.index, q.login.id, status)
	}
}
