package sessions_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/sessions"
)

func TestAClientHoldsHandlesAlone(t *testing.T) {
	w := newWorld(t)
	s := w.replica()
	kept := w.provider.login("alice")
	first, err := s.Start(t.Context(), kept, alice)
	if err != nil {
		t.Fatal(err)
	}
	second := w.refresh(s, first)
	for _, c := range []refresh.Tokens{first, second} {
		silent(t, "a handle", c.Access+c.Refresh, "provider-access-token", "provider-refresh-token")
		if c.ID != "" || len(c.Refresh) != 69 || len(c.Access) != 65 || strings.Contains(c.Access+c.Refresh, ".") {
			t.Errorf("the client holds something else than handles: %d and %d characters", len(c.Access), len(c.Refresh))
		}
	}
	if first.Access == second.Access || first.Refresh == second.Refresh || first.Refresh[:26] != second.Refresh[:26] {
		t.Error("the handles have not been replaced, or are another login's")
	}
	if got := w.access(s, first); got != kept.Access {
		t.Error("the first access handle does not stand for the provider's first access token")
	}
	if got := w.access(s, second); got == kept.Access || !strings.Contains(got, "provider-access-token-alice-2") {
		t.Error("the second access handle does not stand for the second access token")
	}
}

func TestWithShowAccessAClientHoldsTheTokens(t *testing.T) {
	w := newWorld(t)
	s := w.replica(func(s *sessions.Sessions) { s.ShowAccess = true })
	kept := w.provider.login("alice")
	first, err := s.Start(t.Context(), kept, alice)
	if err != nil || first.Access != kept.Access || first.ID != kept.ID || first.Refresh == kept.Refresh {
		t.Fatalf("at the start: %v; want the tokens, and a handle for the refresh token", err)
	}
	second := w.refresh(s, first)
	if second.Access == first.Access || second.ID != kept.ID || strings.Contains(second.Refresh, "provider") {
		t.Error("after a refresh it does not hold the new tokens")
	}
	if got := w.access(s, second); got != second.Access {
		t.Error("an access token does not stand for itself")
	}
	if _, err := s.Access(t.Context(), ""); !errors.Is(err, refresh.ErrNotFound) {
		t.Errorf("nothing: %v, want ErrNotFound", err)
	}
}

func TestTheStoreGivesNothingAway(t *testing.T) {
	w := newWorld(t)
	for _, show := range []bool{false, true} {
		s := w.replica(func(s *sessions.Sessions) { s.ShowAccess = show })
		tok := w.start(s, alice)
		for range 4 {
			next := w.refresh(s, tok)
			if err := s.Arrived(t.Context(), next.Access); err != nil {
				t.Fatal(err)
			}
			for _, c := range w.written() {
				silent(t, "the store", c.Key+" "+string(c.New), tok.Refresh, next.Refresh, tok.Access[22:], next.Access[22:], "provider-access-token", "provider-refresh-token", "provider-id-token")
			}
			tok = next
		}
	}
	if n := len(w.written()); n < 10 {
		t.Fatalf("the store was given %d values only", n)
	}
}

func TestWhatIsNoHandleEndsNothing(t *testing.T) {
	for _, c := range []struct {
		name string
		bad  func(handle string) string
	}{
		{"nothing", func(string) string { return "" }},
		{"the ID alone", func(h string) string { return h[:26] }},
		{"another ID", func(h string) string { return strings.Repeat("A", 26) + h[26:] }},
		{"an ID that is none", func(h string) string { return strings.Repeat("*", 26) + h[26:] }},
		{"an ID in lower case", func(h string) string { return strings.ToLower(h[:26]) + h[26:] }},
		{"a secret that is none", func(h string) string { return h[:26] + strings.Repeat("*", 43) }},
		{"a secret with a line break", func(h string) string { return h[:26] + "\n" + h[27:] }},
		{"a secret with bits to spare", func(h string) string { return h[:26] + strings.Repeat("A", 42) + "B" }},
		{"something long", func(h string) string { return h + "A" }},
		{"a JWT", func(string) string { return "eyJhbGciOiJFUzI1NiJ9.e30.c2ln" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			s := w.replica()
			tok := w.start(s, alice)
			bad := c.bad(tok.Refresh)
			_, err := s.Refresh(t.Context(), refresh.Tokens{Refresh: bad})
			if !errors.Is(err, refresh.ErrDenied) {
				t.Errorf("error is %v, want ErrDenied", err)
			}
			silent(t, "an error", err.Error(), bad, tok.Refresh)
			if err := s.Revoke(t.Context(), refresh.Tokens{Refresh: bad}); err != nil {
				t.Errorf("revoking it: %v", err)
			}
			if _, err := s.Access(t.Context(), bad); !errors.Is(err, refresh.ErrNotFound) {
				t.Errorf("as an access handle: %v, want ErrNotFound", err)
			}
			w.refresh(s, tok)
			if got := w.kinds(); got != "" {
				t.Errorf("events: %s", got)
			}
		})
	}
}

func TestAHandleThatWasReplaced(t *testing.T) {
	const never = -1
	for _, c := range []struct {
		name    string
		arrives time.Duration // of the successor, after the refresh
		comes   time.Duration // the handle of before
		good    bool
	}{
		{"at once", never, 0, true},
		{"hours later, as nobody has the successor", never, 23 * time.Hour, true},
		{"a day later", never, 24 * time.Hour, false},
		{"within the grace", time.Minute, 89 * time.Second, true},
		{"after the grace", time.Minute, 90 * time.Second, false},
		{"an arrival late on does not make Keep longer", 24*time.Hour - time.Second, 24 * time.Hour, false},
	} {
		for _, show := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				s := w.replica(func(s *sessions.Sessions) { s.ShowAccess = show })
				other := w.replica(func(s *sessions.Sessions) { s.ShowAccess = show })
				first := w.start(s, alice)
				second := w.refresh(s, first)
				if c.arrives != never {
					time.Sleep(c.arrives)
					if err := other.Arrived(t.Context(), second.Access); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(c.comes - max(0, c.arrives))
				if !c.good {
					w.denied(other, first, c.name)
					w.denied(s, second, c.name+": the successor")
					if got := w.kinds(); got != "handle_reused" {
						t.Errorf("%s: events are %q, want one of the reuse", c.name, got)
					}
					if _, _, revoked := w.provider.counts(); revoked != 1 {
						t.Errorf("%s: revoked %d times, want once", c.name, revoked)
					}
					return
				}
				if got := w.refresh(other, first); got != second {
					t.Errorf("%s: it gets another successor", c.name)
				}
				if calls, _, _ := w.provider.counts(); calls != 1 {
					t.Errorf("%s: the provider was asked %d times, want once", c.name, calls)
				}
			})
		}
	}
}

func TestEveryOlderGenerationIsReuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for age := 1; age <= 12; age++ {
			w := newWorld(t)
			s := w.replica()
			generations := []refresh.Tokens{w.start(s, alice)}
			for range 12 {
				time.Sleep(time.Minute)
				generations = append(generations, w.refresh(s, generations[len(generations)-1]))
			}
			time.Sleep(time.Minute)
			old := generations[len(generations)-1-age]
			current := generations[len(generations)-1]
			if age == 1 { // nobody has presented the current one
				if w.refresh(s, old) != current {
					t.Error("the one before does not get the current one")
				}
				continue
			}
			w.denied(s, old, "an older generation")
			w.denied(s, current, "the current one after it")
			if got := w.kinds(); got != "handle_reused" {
				t.Errorf("%d generations ago: events are %q", age, got)
			}
		}
	})
}

func TestRequestsUnderWayMayBeSeveralGenerationsOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.replica()
		first := w.start(s, alice)
		newest := first
		for range 5 {
			time.Sleep(2 * time.Second)
			newest = w.refresh(s, newest)
		}
		if got := w.refresh(s, first); got != newest {
			t.Error("it does not get the newest tokens")
		}
		time.Sleep(time.Minute)
		w.denied(s, first, "a minute later")
	})
}

func TestManyAtOnceGetTheSameSuccessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.provider.delay = 50 * time.Millisecond
		replicas := []*sessions.Sessions{w.replica(), w.replica(), w.replica()}
		tok := w.start(replicas[0], alice)
		got := make([]refresh.Tokens, 60)
		var wg sync.WaitGroup
		for i := range got {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 3 * time.Millisecond)
				next, err := replicas[i%3].Refresh(t.Context(), tok)
				if err != nil {
					t.Error(err)
				}
				got[i] = next
			})
		}
		wg.Wait()
		for _, g := range got {
			if g != got[0] || g.Refresh == tok.Refresh {
				t.Fatal("not all have the same successor")
			}
		}
		if calls, reuses, _ := w.provider.counts(); calls != 1 || reuses != 0 {
			t.Errorf("the provider saw %d calls and %d reuses, want 1 and 0", calls, reuses)
		}
	})
}

func TestLifetimes(t *testing.T) {
	for _, c := range []struct {
		name                  string
		idle, absolute, every time.Duration
		want                  time.Duration // how long it lives if it is refreshed so often
	}{
		{"by default, 30 days", 0, 0, 24 * time.Hour, 720 * time.Hour},
		{"refreshes do not prolong it", 0, 10 * time.Hour, time.Hour, 10 * time.Hour},
		{"idle, and used often enough", 2 * time.Hour, 10 * time.Hour, time.Hour, 10 * time.Hour},
		{"idle, and not used", time.Hour, 10 * time.Hour, time.Hour, time.Hour},
		{"an idle time that is longer than its life", 20 * time.Hour, 10 * time.Hour, time.Hour, 10 * time.Hour},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			s := w.replica(func(s *sessions.Sessions) { s.Idle, s.Absolute = c.idle, c.absolute })
			begin := time.Now()
			tok := w.start(s, alice)
			for {
				idle := c.idle
				if idle == 0 {
					idle = c.want
				}
				if want := min(time.Since(begin)+idle, max(c.absolute, c.want)); tok.RefreshExpiry.Sub(begin) != want {
					t.Fatalf("%s: after %v the handle says it ends at %v, want %v", c.name, time.Since(begin), tok.RefreshExpiry.Sub(begin), want)
				}
				time.Sleep(c.every)
				next, err := s.Refresh(t.Context(), tok)
				if err != nil {
					if !errors.Is(err, refresh.ErrDenied) {
						t.Errorf("%s: %v", c.name, err)
					}
					break
				}
				tok = next
			}
			if got := time.Since(begin); got != c.want {
				t.Errorf("%s: it lives %v, want %v", c.name, got, c.want)
			}
			if _, err := s.Access(t.Context(), tok.Access); !errors.Is(err, refresh.ErrNotFound) {
				t.Errorf("%s: its access token then: %v, want ErrNotFound", c.name, err)
			}
			if logins, err := s.List(t.Context(), alice.Issuer, alice.Subject); err != nil || len(logins) != 0 {
				t.Errorf("%s: %d logins are listed, %v", c.name, len(logins), err)
			}
		})
	}
}

func TestTheProvidersTimeIsTheEarlierEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.replica()
		kept := w.provider.login("alice")
		kept.RefreshExpiry = time.Now().Add(time.Hour)
		tok, err := s.Start(t.Context(), kept, alice)
		if err != nil || !tok.RefreshExpiry.Equal(kept.RefreshExpiry) || !tok.Expiry.Equal(kept.Expiry) {
			t.Errorf("it ends at %v, %v; want the provider's time", tok.RefreshExpiry, err)
		}
		time.Sleep(time.Hour)
		w.denied(s, tok, "after it")
	})
}

func TestMistakesOfTheProgram(t *testing.T) {
	p, store := new(provider), new(refresh.MemoryStore)
	for name, s := range map[string]*sessions.Sessions{
		"Refresher": {Store: store},
		"Store":     {Refresher: p},
		"Idle":      {Refresher: p, Store: store, Idle: -1},
		"Absolute":  {Refresher: p, Store: store, Absolute: -1},
		"Timeout":   {Refresher: p, Store: store, Timeout: -1},
	} {
		_, refreshed := s.Refresh(t.Context(), refresh.Tokens{})
		_, accessed := s.Access(t.Context(), "")
		for _, err := range []error{s.Validate(), refreshed, accessed} {
			if err == nil || !strings.HasPrefix(err.Error(), "sessions: Sessions."+name+" ") {
				t.Errorf("error is %v, want one that names %s", err, name)
			}
		}
	}
	s := &sessions.Sessions{Refresher: p, Store: store}
	if _, err := s.Start(t.Context(), refresh.Tokens{}, alice); err == nil {
		t.Error("a login without an access token starts")
	}
	if _, err := s.Start(t.Context(), p.login("a"), refresh.Identity{Issuer: "i"}); err == nil {
		t.Error("a login without a subject starts")
	}
	large := p.login("a")
	large.Access = strings.Repeat("a", 60<<10)
	if _, err := s.Start(t.Context(), large, alice); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("tokens that no store takes: %v", err)
	}
	if logins, err := s.List(t.Context(), alice.Issuer, alice.Subject); len(logins) != 0 || err != nil {
		t.Errorf("%d logins are listed, %v", len(logins), err)
	}
}
