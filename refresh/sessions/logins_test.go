package sessions_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
	"github.com/tokenlife/tokenlife/refresh/sessions"
)

func ids(logins []sessions.Login) []string {
	var ids []string
	for _, l := range logins {
		ids = append(ids, l.ID)
	}
	return ids
}

func (w *world) list(s *sessions.Sessions) []sessions.Login {
	w.t.Helper()
	logins, err := s.List(w.t.Context(), alice.Issuer, alice.Subject)
	if err != nil {
		w.t.Fatal(err)
	}
	return logins
}

func TestALoginIsListedAsItsUserKnowsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.replica()
		begin := time.Now()
		laptop := w.start(s, alice)
		time.Sleep(time.Minute)
		phone := alice
		phone.Device, phone.Session = strings.Repeat("☎", 100), "session-2"
		mobile := w.start(s, phone)
		bob := w.start(s, refresh.Identity{Issuer: alice.Issuer, Subject: "bob"})
		elsewhere := alice
		elsewhere.Issuer = "https://other.test"
		w.start(s, elsewhere)
		time.Sleep(time.Minute)
		laptop = w.refresh(s, laptop)

		got := w.list(w.replica())
		want := []string{sessions.ID(laptop), sessions.ID(mobile)} // the last used is the first
		if !slices.Equal(ids(got), want) {
			t.Fatalf("the list is %v, want %v", ids(got), want)
		}
		l := got[0]
		if l.Device != "a browser" || l.Session != "session-1" || !l.Since.Equal(begin) ||
			!l.LastUsed.Equal(begin.Add(2*time.Minute)) || !l.Ends.Equal(begin.Add(720*time.Hour)) {
			t.Errorf("the laptop is %+v", l)
		}
		if d := got[1].Device; len(d) > 200 || !utf8.ValidString(d) || !strings.HasPrefix(phone.Device, d) || len(d) < 190 {
			t.Errorf("a long device is %q", d)
		}
		// An ID belongs to the login, whichever of its handles tells it, and not to others.
		if sessions.ID(refresh.Tokens{Access: laptop.Access}) != want[0] || sessions.ID(bob) == want[0] || sessions.ID(refresh.Tokens{Access: "a.b.c"}) != "" {
			t.Error("ID tells something else")
		}
		if strings.Contains(laptop.Refresh, want[0][:12]) {
			t.Error("the ID is part of the refresh handle")
		}
	})
}

func TestOneLoginIsEnded(t *testing.T) {
	w := newWorld(t)
	s := w.replica()
	one, two := w.start(s, alice), w.start(s, alice)
	bob := refresh.Identity{Issuer: alice.Issuer, Subject: "bob"}
	bobs := w.start(s, bob)
	for name, err := range map[string]error{
		"another's":  s.End(t.Context(), alice.Issuer, "bob", sessions.ID(one)),
		"elsewhere":  s.End(t.Context(), "https://other.test", "alice", sessions.ID(one)),
		"nothing":    s.End(t.Context(), alice.Issuer, alice.Subject, ""),
		"no ID":      s.End(t.Context(), alice.Issuer, alice.Subject, "../../x"),
		"unknown ID": s.End(t.Context(), alice.Issuer, alice.Subject, strings.Repeat("A", 22)),
	} {
		if !errors.Is(err, refresh.ErrNotFound) {
			t.Errorf("%s: error is %v, want ErrNotFound", name, err)
		}
	}
	if err := s.End(t.Context(), alice.Issuer, alice.Subject, sessions.ID(one)); err != nil {
		t.Fatal(err)
	}
	if err := s.End(t.Context(), alice.Issuer, alice.Subject, sessions.ID(one)); !errors.Is(err, refresh.ErrNotFound) {
		t.Errorf("again: %v, want ErrNotFound", err)
	}
	if got := ids(w.list(s)); !slices.Equal(got, []string{sessions.ID(two)}) {
		t.Errorf("left: %v", got)
	}
	if _, _, revoked := w.provider.counts(); revoked != 0 {
		t.Error("it was revoked at the provider without its handle")
	}
	// Its client comes, and brings what was missing.
	for range 2 {
		w.denied(s, one, "the ended one")
		if _, _, revoked := w.provider.counts(); revoked != 1 {
			t.Errorf("revoked %d times at the provider, want once", revoked)
		}
	}
	w.refresh(s, two)
	w.refresh(s, bobs)
	if got := w.kinds(); got != "" {
		t.Errorf("events: %s", got)
	}
}

// Who signs in anew in the same browser has one login there, not two.
func TestALoginThatIsReplacedIsOverAndNotRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s, other := w.replica(), w.replica()
		before, after := w.start(s, alice), w.start(s, alice)
		c := &refresh.Coordinator{Refresher: s}
		if err := c.Replace(t.Context(), before); err != nil {
			t.Fatal(err)
		}
		if got, want := ids(w.list(other)), []string{sessions.ID(after)}; !slices.Equal(got, want) {
			t.Errorf("the list is %v, want %v", got, want)
		}
		if _, err := s.Refresh(t.Context(), before); !errors.Is(err, refresh.ErrEnded) {
			t.Errorf("a request that was under way: %v, want ErrEnded, which clears no cookies", err)
		}
		// Nor does a sign-out that comes late reach the provider.
		if err := other.Revoke(t.Context(), before); err != nil {
			t.Error(err)
		}
		if _, _, revoked := w.provider.counts(); revoked != 0 {
			t.Errorf("%d tokens were revoked at the provider, want none", revoked)
		}
		w.refresh(other, after)
		time.Sleep(time.Hour)
		if _, err := s.Refresh(t.Context(), before); !errors.Is(err, refresh.ErrDenied) || errors.Is(err, refresh.ErrEnded) {
			t.Errorf("an hour later: %v, want ErrDenied", err)
		}
		for _, none := range []refresh.Tokens{before, {}, {Refresh: "made up"}} {
			if err := s.Replaced(t.Context(), none); err != nil {
				t.Error(err)
			}
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestSigningOutEverywhere(t *testing.T) {
	w := newWorld(t)
	s := w.replica()
	var toks []refresh.Tokens
	for range 5 {
		toks = append(toks, w.start(s, alice))
	}
	bobs := w.start(s, refresh.Identity{Issuer: alice.Issuer, Subject: "bob", Session: "session-1"})
	if err := s.EndAll(t.Context(), alice.Issuer, alice.Subject, sessions.ID(toks[2])); err != nil {
		t.Fatal(err)
	}
	if got := ids(w.list(s)); !slices.Equal(got, []string{sessions.ID(toks[2])}) {
		t.Errorf("left: %v", got)
	}
	for i, tok := range toks {
		if i != 2 {
			w.denied(w.replica(), tok, "signed out")
		}
	}
	kept := w.refresh(s, toks[2])
	if err := s.EndAll(t.Context(), alice.Issuer, alice.Subject); err != nil {
		t.Fatal(err)
	}
	w.denied(s, kept, "without exception")
	w.refresh(s, bobs)
	if err := s.EndAll(t.Context(), alice.Issuer, "nobody"); err != nil {
		t.Errorf("nobody: %v", err)
	}
}

func TestTheProviderEndsItsSession(t *testing.T) {
	w := newWorld(t)
	s := w.replica()
	one, two := w.start(s, alice), w.start(s, alice)
	other := alice
	other.Session = "session-2"
	three := w.start(s, other)
	if err := s.LogOut(t.Context(), alice.Issuer, "", "", time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := s.LogOut(t.Context(), alice.Issuer, alice.Subject, "session-1", time.Now()); err != nil {
		t.Fatal(err)
	}
	w.denied(s, one, "of the session")
	w.denied(s, two, "of the session as well")
	w.refresh(s, three)
	if got := ids(w.list(s)); !slices.Equal(got, []string{sessions.ID(three)}) {
		t.Errorf("left: %v", got)
	}
}

// A provider may say late that its user has signed out. By then the user may have
// signed in again: by the provider's clock, where that is known, since ours may be
// another.
func TestWhoSignsInAgainIsNotEndedByALateLogout(t *testing.T) {
	for _, session := range []string{"", alice.Session} {
		for name, offset := range map[string]time.Duration{"one clock": 0, "the provider's is ahead": time.Hour, "the provider's is behind": -time.Hour} {
			t.Run(name+", session "+session, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					s := w.replica()
					begin := func() refresh.Tokens {
						whose := alice
						whose.IssuedAt = time.Now().Add(offset).Truncate(time.Second)
						return w.start(s, whose)
					}
					before := begin()
					<-time.After(1500 * time.Millisecond)
					ended := time.Now().Add(offset).Truncate(time.Second)
					sameSecond := begin()
					<-time.After(time.Second)
					after := begin()
					if err := s.LogOut(t.Context(), alice.Issuer, alice.Subject, session, ended); err != nil {
						t.Fatal(err)
					}
					w.denied(s, before, "from before the logout")
					w.denied(s, sameSecond, "of its second")
					w.refresh(s, after)
				})
			})
		}
	}
}

func TestTheOldestOfTooManyGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.replica()
		var toks []refresh.Tokens
		for i := range 258 {
			whose := alice
			whose.Session = fmt.Sprint("session-", i)
			toks = append(toks, w.start(s, whose))
			time.Sleep(time.Second)
		}
		w.denied(s, toks[0], "the oldest")
		w.denied(s, toks[1], "the next")
		w.refresh(s, toks[2])
		w.refresh(s, toks[257])
		if n := len(w.list(s)); n != 256 {
			t.Errorf("%d are listed, want 256", n)
		}
		if got := w.kinds(); got != "login_displaced login_displaced" {
			t.Errorf("events: %s", got)
		}
	})
}

func TestManyStartAtOnce(t *testing.T) {
	w := newWorld(t)
	replicas := []*sessions.Sessions{w.replica(), w.replica()}
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() { w.start(replicas[i%2], alice) })
	}
	wg.Wait()
	if n := len(w.list(replicas[0])); n != 100 {
		t.Errorf("%d are listed, want 100", n)
	}
}

func TestSigningOutEverywhereStopsWhatIsAboutToStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.replica()
		var done atomic.Bool
		w.store.Intercept(func(_ context.Context, c refreshtest.StoreCall, do func() (bool, error)) error {
			if c.Swap && strings.HasPrefix(c.Key, "sessions.login.") && done.CompareAndSwap(false, true) {
				if err := w.replica().EndAll(t.Context(), alice.Issuer, alice.Subject); err != nil {
					t.Error(err)
				}
			}
			_, err := do()
			return err
		})
		if _, err := s.Start(t.Context(), w.provider.login("alice"), alice); err == nil || errors.Is(err, refresh.ErrDenied) {
			t.Errorf("error is %v, want one", err)
		}
		if n := len(w.list(s)); n != 0 {
			t.Errorf("%d logins are listed", n)
		}
		time.Sleep(time.Minute)
		w.refresh(s, w.start(s, alice))
	})
}

func TestAListForgetsWhatIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.replica(func(s *sessions.Sessions) { s.Idle = time.Hour })
		w.start(s, alice)
		time.Sleep(2 * time.Hour)
		if n := len(w.list(s)); n != 0 {
			t.Errorf("%d logins are listed, want none", n)
		}
		written := w.written()
		last := written[len(written)-1]
		if !strings.HasPrefix(last.Key, "sessions.subject.") || len(last.New) != 0 {
			t.Error("the list that has become empty is still there")
		}
	})
}
