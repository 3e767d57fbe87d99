package simulation_test

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/internal/race"
)

// simUsual is how many stories TestSimulation tells where no flag says so.
var simUsual = func() int {
	if race.Enabled {
		return 400
	}
	return 4000
}()

var (
	simSeeds = flag.Int("simulation.seeds", simUsual, "how many stories TestSimulation tells")
	simFirst = flag.Uint64("simulation.seed", 1, "the seed of the first of them")
)

// simOnce are seeds whose stories have once ended badly. They are told again
// with those that the flags do not choose.
var simOnce = []uint64{
	447, 10516, 11625, 11869, 12000, 12006, 12401, 12407, 12691, 12761, 13368, 13558, 16838, 17300, 21200, 30998, 34044, 37130,
}

// simWorkers tell stories side by side. Each story has a bubble of its own, and
// few goroutines in it: many bubbles are cheaper than a large one.
const simWorkers = 4

// simShown is how many failed stories are told in full.
const simShown = 3

func TestSimulation(t *testing.T) {
	var mu sync.Mutex
	total, shown, failed := newSimTotals(), 0, 0
	var seeds []uint64
	if *simFirst == 1 {
		seeds = simOnce
	}
	for n := range *simSeeds {
		seeds = append(seeds, *simFirst+uint64(n))
	}
	t.Run("stories", func(t *testing.T) {
		for worker := range simWorkers {
			t.Run(fmt.Sprintf("worker %d", worker), func(t *testing.T) {
				t.Parallel()
				for n := worker; n < len(seeds); n += simWorkers {
					w := tellStory(t, seeds[n])
					mu.Lock()
					total.add(w.totals)
					show := len(w.broken) > 0 && shown < simShown
					if len(w.broken) > 0 {
						failed++
					}
					if show {
						shown++
					}
					enough := failed >= 20
					mu.Unlock()
					switch {
					case show:
						t.Error(w.tell())
					case len(w.broken) > 0:
						t.Errorf("seed %d: %s", w.plan.seed, w.broken[0])
					}
					if enough {
						return
					}
				}
			})
		}
	})
	t.Log(total)
	for _, must := range []string{"requests", "refreshes", "logouts", "sign-ins", "away", "restarts"} {
		if *simSeeds >= 400 && total.count[must] == 0 {
			t.Errorf("no %s in any story: the simulation tests nothing of the kind", must)
		}
	}
}

func TestASeedTellsOneStory(t *testing.T) {
	for n := range max(10, simUsual/40) {
		seed := *simFirst + uint64(n)
		first, second := tellStory(t, seed).lines(), tellStory(t, seed).lines()
		for i := range max(len(first), len(second)) {
			if i < len(first) && i < len(second) && first[i] == second[i] {
				continue
			}
			t.Errorf("seed %d tells two stories, which part after %d lines:\n%q\n%q", seed, i,
				first[min(i, len(first)):min(i+3, len(first))], second[min(i, len(second)):min(i+3, len(second))])
			break
		}
	}
}

// tellStory plays the story of one seed.
func tellStory(t *testing.T, seed uint64) (w *simWorld) {
	t.Helper()
	defer func() {
		// A bubble that cannot end panics; without its seed nobody could find out why.
		if p := recover(); p != nil {
			t.Fatalf("the story panicked: %v\n%s", p, w.tell())
		}
	}()
	w = newSimWorld(seed)
	synctest.Test(t, func(*testing.T) { w.play() })
	return w
}

// simTotals are what happened, over one story or all.
type simTotals struct {
	count     map[string]int // of the cast and their doings
	faults    map[string]int // by kind
	unsavable map[string]int // logins that no system could have saved, by what took them
}

func newSimTotals() simTotals {
	return simTotals{make(map[string]int), make(map[string]int), make(map[string]int)}
}

func (s simTotals) add(more simTotals) {
	s.count["seeds"]++
	for _, m := range []struct{ to, from map[string]int }{
		{s.count, more.count}, {s.faults, more.faults}, {s.unsavable, more.unsavable},
	} {
		for k, n := range m.from {
			m.to[k] += n
		}
	}
}

func (s simTotals) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "simulation totals, %d lost logins", s.count["lost logins"])
	for _, m := range []struct {
		name  string
		count map[string]int
	}{{"", s.count}, {"faults", s.faults}, {"unsavable", s.unsavable}} {
		fmt.Fprintf(&b, "\n%s:", m.name)
		for _, k := range slices.Sorted(maps.Keys(m.count)) {
			fmt.Fprintf(&b, " %s %d;", k, m.count[k])
		}
	}
	return b.String()
}

// A simEvent is one line of a story. Its words are put together only if
// somebody wants to read it.
type simEvent struct {
	at     time.Duration
	format string
	args   []any
}

func (e simEvent) String() string { return e.at.String() + " " + fmt.Sprintf(e.format, e.args...) }

// lines are all that happened, and the totals.
func (w *simWorld) lines() (lines []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		lines = append(lines, e.String())
	}
	return append(lines, w.totals.String())
}

// tell returns the whole story, and how to hear it again.
func (w *simWorld) tell() string {
	if w == nil {
		return ""
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %s\n%+v\n", w.plan.seed, strings.Join(w.broken, "\n\t"), w.plan)
	events := w.events
	const most = 400
	if len(events) > most && *simSeeds > 1 {
		fmt.Fprintf(&b, "(%d earlier events)\n", len(events)-most)
		events = events[len(events)-most:]
	}
	for _, e := range events {
		fmt.Fprintf(&b, "%12s  %s\n", e.at.Round(time.Microsecond), fmt.Sprintf(e.format, e.args...))
	}
	fmt.Fprintf(&b, "again: go test ./middleware/simulation -run '^TestSimulation$' -args -simulation.seeds=1 -simulation.seed=%d", w.plan.seed)
	return b.String()
}
