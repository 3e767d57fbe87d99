package main

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/cookies"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// Redis dies while one gateway has the provider's ear, with the claim that the
// others wait for. They cannot know what becomes of it: who waits just then is
// sent away for a moment, and then each gateway asks for itself, which a
// provider's grace is for.
func TestPromise02ARedisThatDiesDuringACallSignsNobodyOut(t *testing.T) {
	redis := refreshtest.StartRedis(t)
	f := newFleet(t, 4, "redis://"+redis.Addr)
	f.provider.Rotation, f.provider.Grace = refreshtest.GraceSame, stormGrace
	f.provider.SetDelay(time.Second)
	old := f.expired(t, "alice")
	st := &storm{requests: 5000 / stormScale, atOnce: 500 / stormScale}
	half := st.mark(st.requests / 2)
	var wg sync.WaitGroup
	wg.Go(func() { st.blow(t.Context(), f, old) })
	eventually(t, "the provider is asked", func() bool { return f.provider.Stats().Calls > 0 })
	redis.Kill()
	<-half
	redis.Restart()
	wg.Wait()
	stats := f.provider.Stats()
	t.Logf("the statuses are %v, with %d calls at the provider", st.statuses, stats.Calls)
	if len(st.errs) > 0 {
		t.Errorf("%d requests without an answer, such as: %v", len(st.errs), st.errs[0])
	}
	if away := st.statuses[http.StatusServiceUnavailable]; st.statuses[http.StatusOK]+away != st.requests || away > st.requests/2 {
		t.Errorf("the statuses are %v, want 200 but for those who waited then", st.statuses)
	}
	if st.cleared > 0 {
		t.Errorf("%d cookies were cleared", st.cleared)
	}
	if stats.Calls > len(f.all) || stats.Reused != 0 || stats.Refused != 0 {
		t.Errorf("the provider saw %d calls of %d gateways and %d reuses, and refused %d calls", stats.Calls, len(f.all), stats.Reused, stats.Refused)
	}
	for i, s := range f.all {
		if a := s.do(t, http.MethodGet, "/", old); a.status != http.StatusOK || a.cookie("__Host-"+cookies.Refresh) == "" {
			t.Errorf("gateway %d answers who was sent away with %d", i, a.status)
		}
		for login := range st.logins {
			if login == "" {
				continue // of those sent away
			}
			if a := s.do(t, http.MethodGet, "/", login); a.status != http.StatusOK {
				t.Errorf("gateway %d answers new cookies with %d", i, a.status)
			}
		}
	}
}
