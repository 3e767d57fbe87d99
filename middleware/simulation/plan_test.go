package simulation_test

import (
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
)

// The ways of a provider with refresh tokens.
type simMode int

const (
	rotateStrict  simMode = iota // once each; a second use ends the login
	rotateSame                   // a second use within the grace gives the same successor
	rotateNew                    // … a successor of its own
	rotateNothing                // the refresh token stays
	simModes      = iota
	simGrace      = 30 * time.Second // the Coordinator's
	simTimeout    = 5 * time.Second  // likewise
	simClaim      = 3 * simTimeout   // the life of a claim that its replica left behind
)

func (m simMode) String() string {
	return [...]string{"strict", "grace, same successor", "grace, new successor", "no rotation"}[m]
}

// A simPlan is what a seed decides beforehand.
type simPlan struct {
	seed     uint64
	mode     simMode
	grace    time.Duration // the provider's
	replicas int
	shared   bool // a Store
	browsers int
	tabs     int // of each browser
	visits   int // of each tab
	life     time.Duration
	skew     time.Duration // of the provider's clock
	step     time.Duration // which it makes in the middle
	clocks   [4]time.Duration
	leeway   time.Duration
	chance   map[string]float64 // of a fault, at each occasion for it
}

// rng returns the chance of one actor. Each has its own, so that what one does
// does not depend on how far another has come.
func (p *simPlan) rng(actor ...uint64) simRand {
	who := p.hash(actor...)
	return simRand{rand.New(rand.NewPCG(p.seed, who)), who}
}

type simRand struct {
	*rand.Rand
	who uint64 // whose it is
}

func (p *simPlan) hash(parts ...uint64) uint64 {
	h := p.seed * 0x9e3779b97f4a7c15
	for _, a := range parts {
		h = (h ^ a) * 0xbf58476d1ce4e5b9
		h ^= h >> 29
	}
	return h
}

// pause is a moment that those wait who would otherwise do something at one
// instant, where their order is the scheduler's: another one for each of them and
// each time. It is drawn from who does what, and when, and from nothing that is
// counted: whoever else comes between, it stays the same.
func (w *simWorld) pause(who ...uint64) time.Duration {
	h := w.plan.hash(append(who, uint64(time.Since(w.begin)))...)
	return 1 + time.Duration(h%uint64(simPause))
}

const simPause = 65 * time.Microsecond

func simHash(s string) uint64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, s)
	return h.Sum64()
}

func newSimPlan(seed uint64) simPlan {
	p := simPlan{seed: seed, chance: make(map[string]float64)}
	r := p.rng(1)
	p.mode = simMode(r.IntN(simModes))
	if p.mode == rotateSame || p.mode == rotateNew {
		p.grace = between(r, 10*time.Second, time.Minute)
	}
	p.replicas = 1 + r.IntN(3)
	p.shared = p.replicas > 1 || r.IntN(3) == 0
	p.browsers, p.tabs, p.visits = 1+r.IntN(2), 1+r.IntN(3), 5+r.IntN(8)
	p.life = between(r, 40*time.Second, 3*time.Minute)
	if r.IntN(2) == 0 {
		p.leeway = between(r, 0, 30*time.Second)
	}
	// A fault excuses much. So most stories have few kinds, each often, and
	// some have none: nothing at all may go wrong in these.
	if r.IntN(8) == 0 {
		return p
	}
	for _, f := range []struct {
		name string
		most float64
	}{
		{"slow", 0.4},
		{"lost answer", 0.3},
		{"reset", 0.3},
		{"5xx", 0.3},
		{"429", 0.3},
		{"garbage", 0.3},
		{"invalid_client", 0.3},
		{"other subject", 0.03},
		{"provider down", 1},
		{"killed at the answer", 0.2},
		{"killed before the answer", 0.2},
		{"killed", 1},
		{"store down", 1},
		{"store cut off", 1},
		{"store slow", 1},
		{"store wiped", 1},
		{"client gone", 0.3},
		{"away", 0.3},
		{"logout", 0.6},
		{"sign-in again", 0.4},
		{"thief", 1},
		{"ended by the provider", 0.3},
	} {
		if v := r.Float64(); r.IntN(3) == 0 {
			p.chance[f.name] = f.most * (0.3 + 0.7*v)
		}
	}
	if r.IntN(3) == 0 {
		p.skew, p.step = between(r, -15*time.Second, 15*time.Second), between(r, -10*time.Second, 10*time.Second)
		for i := range p.clocks {
			p.clocks[i] = between(r, -5*time.Second, 5*time.Second)
		}
	}
	return p
}

// apart is how far the clocks of two replicas can be apart.
func (p *simPlan) apart() time.Duration {
	return slices.Max(p.clocks[:]) - slices.Min(p.clocks[:])
}

// happens draws whether a fault of this kind occurs now.
func (p *simPlan) happens(r simRand, kind string) bool { return r.Float64() < p.chance[kind] }

// between draws a duration to the nanosecond, so that events are seldom at one
// instant, where their order is the scheduler's.
func between(r simRand, least, most time.Duration) time.Duration {
	return least + time.Duration(r.Int64N(int64(most-least)+1))
}

// A simWorld is one story while it is played.
type simWorld struct {
	plan  simPlan
	begin time.Time
	work  sync.WaitGroup // requests under way

	mu       sync.Mutex // guards everything below and all logins
	events   []simEvent
	calm     bool     // the faults are over
	broken   []string // what was promised and is not kept
	totals   simTotals
	logins   []*simLogin
	down     bool // the provider is out of reach
	downAt   time.Time
	skew     time.Duration
	store    simStore
	replicas []*simReplica // those that serve
	all      []*simReplica // and those that did
}

func newSimWorld(seed uint64) *simWorld {
	return &simWorld{plan: newSimPlan(seed), totals: newSimTotals()}
}

// log adds a line to the story. The caller holds w.mu.
func (w *simWorld) log(format string, args ...any) {
	w.events = append(w.events, simEvent{time.Since(w.begin), format, args})
}

// fault notes that something goes wrong on purpose. The caller holds w.mu.
func (w *simWorld) fault(kind, format string, args ...any) {
	w.totals.faults[kind]++
	w.log("! "+kind+": "+format, args...)
}

// breach notes that a promise is broken. The caller holds w.mu.
func (w *simWorld) breach(promise, format string, args ...any) {
	s := fmt.Sprintf("promise %s: %s", promise, fmt.Sprintf(format, args...))
	w.broken = append(w.broken, s)
	w.log("BROKEN %s", s)
}

// play tells the story from its beginning to its end.
func (w *simWorld) play() {
	w.begin, w.skew = time.Now(), w.plan.skew
	w.store.values = new(refresh.MemoryStore)
	for i := range w.plan.replicas {
		w.start(i)
	}
	var actors sync.WaitGroup
	browsers := make([]*simBrowser, w.plan.browsers)
	for i := range browsers {
		b := newSimBrowser(w, i)
		browsers[i] = b
		b.signIn(w.plan.rng(2, uint64(i)))
		for tab := range w.plan.tabs {
			actors.Go(func() { b.tab(tab) })
		}
		actors.Go(b.mishaps)
	}
	over := make(chan struct{})
	var nature sync.WaitGroup
	nature.Go(func() { w.nature(over) })
	actors.Wait()
	close(over)
	nature.Wait()

	// With the faults over, whoever has a login has one that works.
	w.mu.Lock()
	w.calm = true
	w.log("the faults are over")
	w.mu.Unlock()
	w.work.Wait()
	<-time.After(simClaim + 3*simTimeout)
	for _, b := range browsers {
		b.lastVisit()
	}
	w.work.Wait()
	for _, r := range w.all {
		if err := r.coordinator.Close(); err != nil {
			w.breach("12", "Close: %v", err)
		}
		_ = r.auth.Close()
	}
}

// nature is what happens to machines.
func (w *simWorld) nature(over <-chan struct{}) {
	r := w.plan.rng(3)
	for n := 0; ; n++ {
		select {
		case <-over:
			w.mend()
			return
		case <-time.After(between(r, time.Second, 2*w.plan.life)):
		}
		kinds := []string{"provider down", "killed", "store down", "store cut off", "store slow", "store wiped", "clock step"}
		kind, i, lasts := kinds[r.IntN(len(kinds))], r.IntN(w.plan.replicas), between(r, 10*time.Millisecond, 20*time.Second)
		if r.IntN(8) == 0 {
			lasts *= 3
		}
		slow := between(r, 20*time.Millisecond, 2*time.Second)
		if !w.plan.happens(r, kind) && !(kind == "clock step" && n > 3 && w.plan.step != 0) {
			continue
		}
		switch kind {
		case "killed":
			w.kill(w.serving(i), "by chance")
			continue
		case "provider down":
			w.mu.Lock()
			w.down = true
			w.fault(kind, "for %s", lasts)
			w.mu.Unlock()
		case "clock step":
			w.mu.Lock()
			w.skew, w.plan.step = w.skew+w.plan.step, 0
			w.fault(kind, "the provider's clock is now off by %s", w.skew)
			w.mu.Unlock()
			continue
		default:
			if !w.plan.shared {
				continue
			}
			w.mu.Lock()
			w.store.disturb(kind, i, slow)
			w.fault(kind, "replica %d, %s, for %s", i, slow, lasts)
			w.mu.Unlock()
		}
		select {
		case <-over:
		case <-time.After(lasts):
		}
		w.mend()
	}
}

// mend ends what nature has done.
func (w *simWorld) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log("the machines are well")
	if w.down {
		w.down, w.downAt = false, time.Now()
	}
	w.store.mend()
}

func (w *simWorld) serving(i int) *simReplica {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.replicas[i]
}

var (
	_ http.RoundTripper = (*simLine)(nil)
	_ refresh.Store     = (*simAccess)(nil)
)
