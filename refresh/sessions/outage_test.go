package sessions_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
	"github.com/tokenlife/tokenlife/refresh/sessions"
)

// The Store fails for everybody from some step of a refresh on, for a time, and a
// browser tries again and again at both replicas. A strict provider sees each
// refresh token once, and the login goes on.
func TestAnOutageOfTheStoreAtAnyStepLosesNoLogin(t *testing.T) {
	const atTheProvider = 0
	for _, lasts := range []time.Duration{time.Second, 3 * time.Second, 5 * time.Second, 10 * time.Second, 60 * time.Second, 4 * time.Minute} {
		for step := atTheProvider; step <= 4; step++ {
			for _, happened := range []bool{false, true} {
				for _, every := range []time.Duration{130 * time.Millisecond, 700 * time.Millisecond} {
					name := fmt.Sprintf("for %v from step %d, which happened: %t, tried every %v", lasts, step, happened, every)
					t.Run(name, func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) {
							w := newWorld(t)
							w.provider.delay = 50 * time.Millisecond
							replicas := []*sessions.Sessions{w.replica(), w.replica()}
							tok := w.start(replicas[0], alice)
							time.Sleep(time.Minute)
							down := func() {
								w.store.SetDown(true)
								time.AfterFunc(lasts, func() { w.store.SetDown(false) })
							}
							if step == atTheProvider {
								w.provider.after = func() error { w.provider.after = nil; down(); return nil }
							}
							var calls atomic.Int64
							w.store.Intercept(func(_ context.Context, _ refreshtest.StoreCall, do func() (bool, error)) error {
								fails := calls.Add(1) == int64(step)
								if fails {
									defer down()
								}
								if fails && !happened {
									return refreshtest.ErrStoreDown
								}
								_, err := do()
								if fails {
									return refreshtest.ErrStoreDown
								}
								return err
							})
							var next refresh.Tokens
							begin := time.Now()
							for n := 0; ; n++ {
								ctx, cancel := context.WithTimeout(t.Context(), every)
								got, err := replicas[n%2].Refresh(ctx, tok)
								cancel()
								if err == nil {
									next = got
									break
								}
								if errors.Is(err, refresh.ErrDenied) {
									t.Errorf("%s: %v after %v", name, err, time.Since(begin))
									return
								}
								if took := time.Since(begin); took > lasts+10*time.Second {
									t.Errorf("%s: not signed in after %v: %v", name, took, err)
									return
								}
								time.Sleep(every)
							}
							w.store.Intercept(nil)
							time.Sleep(lasts + time.Minute)
							w.refresh(replicas[0], next)
							if calls, reuses, _ := w.provider.counts(); calls < 2 || reuses != 0 {
								t.Errorf("%s: the provider saw %d calls and %d reuses", name, calls, reuses)
							}
						})
					})
				}
			}
		}
	}
}

// Nobody comes back to the replica that has the result.
func TestAResultIsWrittenAfterAnOutageWithoutACaller(t *testing.T) {
	for _, lasts := range []time.Duration{time.Second, 20 * time.Second, 10 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			s, other := w.replica(), w.replica()
			tok := w.start(s, alice)
			w.provider.after = func() error { w.store.SetDown(true); return nil }
			time.AfterFunc(lasts, func() { w.store.SetDown(false) })
			_, _ = s.Refresh(t.Context(), tok)
			time.Sleep(lasts + 3*time.Second)
			w.provider.after = nil
			w.refresh(other, w.refresh(other, tok))
			w.asked(2)
		})
	}
}

// A result that the Store will never take is tried again for callers alone, and the
// provider is not asked for another one.
func TestAResultThatIsTooLargeIsNotTriedForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		calls := 0
		s := w.replica(func(s *sessions.Sessions) {
			s.Refresher = refresh.Func(func(context.Context, refresh.Tokens) (refresh.Tokens, error) {
				calls++
				return refresh.Tokens{Access: strings.Repeat("a", 64<<10), Refresh: "refresh-2"}, nil
			})
		})
		tok, err := s.Start(t.Context(), refresh.Tokens{Access: "access-1", Refresh: "refresh-1"}, alice)
		if err != nil {
			t.Fatal(err)
		}
		asked := ops(w)
		for n := range 2 {
			if _, err := s.Refresh(t.Context(), tok); err == nil || errors.Is(err, refresh.ErrDenied) {
				t.Errorf("error is %v, want one that is temporary", err)
			}
			time.Sleep(time.Hour)
			want := []string{"1 gets, 1 swaps", "1 gets, 0 swaps"}[n]
			if got := asked(); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
		if calls != 1 {
			t.Errorf("the provider was asked %d times, want 1", calls)
		}
	})
}

// The way of a result to the Store is open again later than the way of a replica
// that has noticed the outage as well.
func TestAReplicaWaitsAfterAnOutageForTheResultsOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		way := &refreshtest.FaultyStore{Store: w.store}
		s, other := w.replica(func(s *sessions.Sessions) { s.Store = way }), w.replica()
		tok, another := w.start(s, alice), w.start(other, alice)
		w.provider.after = func() error { w.store.SetDown(true); way.SetDown(true); return nil }
		go func() { _, _ = s.Refresh(t.Context(), tok) }()
		time.Sleep(12 * time.Second)
		if _, err := other.Refresh(t.Context(), tok); !errors.Is(err, refreshtest.ErrStoreDown) {
			t.Errorf("in the outage: %v", err)
		}
		w.provider.after = nil
		w.store.SetDown(false)
		w.access(other, another)
		time.AfterFunc(1500*time.Millisecond, func() { way.SetDown(false) })
		time.Sleep(time.Second)
		w.refresh(other, tok)
		w.asked(1)
	})
}

// What is no outage does not delay a refresh: a single failure of the Store, and a
// client that has hung up.
func TestAShortFailureOfTheStoreDelaysNoRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.replica(func(s *sessions.Sessions) { s.CacheFor = -1 })
		tok := w.start(s, alice)
		time.Sleep(time.Minute)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		_, _ = s.Access(gone, tok.Access)
		begin := time.Now()
		next := w.refresh(s, tok)
		time.Sleep(time.Second)
		w.store.SetDown(true)
		_, _ = s.Access(t.Context(), next.Access)
		w.store.SetDown(false)
		time.Sleep(500 * time.Millisecond)
		w.refresh(s, next)
		if took := time.Since(begin); took != 1500*time.Millisecond {
			t.Errorf("two refreshes took %v more than they should", took-1500*time.Millisecond)
		}
	})
}

func TestACallerHearsOfTheStoreThatFailsWhileItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.provider.delay = 9 * time.Second
		s, other := w.replica(), w.replica()
		tok := w.start(s, alice)
		go func() { _, _ = other.Refresh(t.Context(), tok) }()
		time.AfterFunc(time.Second, func() { w.store.SetDown(true) })
		time.AfterFunc(8*time.Second, func() { w.store.SetDown(false) })
		time.Sleep(time.Millisecond)
		if _, err := s.Refresh(t.Context(), tok); !errors.Is(err, refreshtest.ErrStoreDown) {
			t.Errorf("error is %v, want the store's", err)
		}
		time.Sleep(10 * time.Second)
		w.refresh(s, tok)
		w.asked(1)
	})
}

// A result that cannot be written is tried for a quarter of an hour without callers.
func TestAnOutageWithoutEndIsNotAskedAboutForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.replica()
		tok := w.start(s, alice)
		w.provider.after = func() error { w.store.SetDown(true); return nil }
		_, _ = s.Refresh(t.Context(), tok)
		time.Sleep(20 * time.Minute)
		asked := ops(w)
		time.Sleep(time.Hour)
		if got := asked(); got != "0 gets, 0 swaps" {
			t.Error(got)
		}
		w.store.SetDown(false)
		w.refresh(s, tok)
		w.asked(1)
	})
}

// An outage begins when the provider has been asked, and lasts.
func TestAResultOutlivesAnOutageOfTheStore(t *testing.T) {
	for _, lasts := range []time.Duration{time.Second, 14 * time.Second, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			s := w.replica()
			tok := w.start(s, alice)
			w.provider.after = func() error { w.store.SetDown(true); return nil }
			time.AfterFunc(lasts, func() { w.store.SetDown(false) })
			_, err := s.Refresh(t.Context(), tok)
			if lasts > refresh.DefaultTimeout && (!errors.Is(err, refreshtest.ErrStoreDown) || errors.Is(err, refresh.ErrDenied)) || lasts == time.Second && err != nil {
				t.Errorf("%v: error is %v", lasts, err)
			}
			w.provider.after = nil
			time.Sleep(lasts + time.Second)
			next := w.refresh(s, tok)
			w.asked(1)
			if got := w.access(w.replica(), next); !strings.Contains(got, "alice-2") {
				t.Errorf("%v: the access token is %q", lasts, got)
			}
			w.refresh(s, next)
		})
	}
}

// The store is away while the provider is asked, and another replica comes when it
// is back.
func TestAClaimOutlivesAnOutageOfTheStore(t *testing.T) {
	for name, tt := range map[string]struct {
		down, up, comes time.Duration
		all             bool
	}{
		"for all, and the claim lapses":             {time.Second, 6 * time.Second, 7 * time.Second, true},
		"for its owner, when it has asked for long": {4500 * time.Millisecond, 12 * time.Second, 9 * time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.provider.delay = 9 * time.Second
				way := &refreshtest.FaultyStore{Store: w.store}
				s, other := w.replica(func(s *sessions.Sessions) { s.Store = way }), w.replica()
				tok := w.start(s, alice)
				down := func(down bool) {
					way.SetDown(down)
					if tt.all {
						w.store.SetDown(down)
					}
				}
				time.AfterFunc(tt.down, func() { down(true) })
				time.AfterFunc(tt.up, func() { down(false) })
				go func() { _, _ = s.Refresh(t.Context(), tok) }()
				time.Sleep(tt.comes)
				w.refresh(other, tok)
				w.asked(1)
			})
		})
	}
}
