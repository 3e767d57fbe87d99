package sessions_test

import (
	"context"
	"regexp"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
	"github.com/tokenlife/tokenlife/refresh/sessions"
)

// A skewedStore is the way to a Store of a replica whose clock is ahead of the
// others by a time: it changes the times in the records of logins on the way there
// and back.
type skewedStore struct {
	refresh.Store
	ahead time.Duration
}

var recordedTimes = regexp.MustCompile(`"(since|used|last|ends|over|until|at)":\d+`)

func shift(record []byte, by time.Duration) []byte {
	return recordedTimes.ReplaceAllFunc(record, func(field []byte) []byte {
		digits := len(field)
		for field[digits-1] != ':' {
			digits--
		}
		at, _ := strconv.ParseInt(string(field[digits:]), 10, 64)
		return strconv.AppendInt(field[:digits:digits], at+by.Milliseconds(), 10)
	})
}

func (s skewedStore) Get(ctx context.Context, key string) ([]byte, error) {
	v, err := s.Store.Get(ctx, key)
	return shift(v, s.ahead), err
}

func (s skewedStore) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	return s.Store.Swap(ctx, key, shift(old, -s.ahead), shift(new, -s.ahead), ttl)
}

// A strict provider, and two replicas whose clocks differ: each refresh token is
// used once, and both replicas' callers get the same successor.
func TestReplicasWhoseClocksDifferAskOnce(t *testing.T) {
	for _, ahead := range []time.Duration{-15 * time.Second, -10 * time.Second, -5 * time.Second, 3 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, time.Hour} {
		for _, delay := range []time.Duration{100 * time.Millisecond, time.Second, 4 * time.Second} {
			t.Run(ahead.String()+", the provider takes "+delay.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					w.provider.delay = delay
					s := w.replica()
					skewed := w.replica(func(s *sessions.Sessions) { s.Store = skewedStore{w.store, ahead} })
					tok := w.start(s, alice)
					for range 3 {
						for _, first := range []*sessions.Sessions{s, skewed} {
							time.Sleep(time.Minute)
							second := s
							if first == s {
								second = skewed
							}
							done := make(chan refresh.Tokens, 1)
							go func() {
								next, err := first.Refresh(t.Context(), tok)
								if err != nil {
									t.Error(err)
								}
								done <- next
							}()
							time.Sleep(delay / 2)
							next := w.refresh(second, tok)
							if got := <-done; got.Access != next.Access || got.Refresh != next.Refresh {
								t.Error("the other replica's caller gets another successor")
							}
							tok = next
						}
					}
					w.asked(6)
				})
			})
		}
	}
}

// An owner of a claim dies after the provider has exchanged its token. The first
// caller may come at any time in the provider's grace, at a replica with any clock,
// and waits until the claim has lapsed, no longer.
func TestTheFirstCallerAfterADeathAsksInTime(t *testing.T) {
	for _, ahead := range []time.Duration{-15 * time.Second, 0, 15 * time.Second} {
		for _, comes := range []time.Duration{time.Second, 3 * time.Second, 6 * time.Second, 9 * time.Second} {
			t.Run(ahead.String()+", after "+comes.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w, p := newWorld(t), new(lenient)
					dead := &refreshtest.FaultyStore{Store: w.store}
					hang := func(ctx context.Context, _ refresh.Tokens) (refresh.Tokens, error) {
						_ = p.ask()
						dead.SetDown(true)
						<-ctx.Done()
						return refresh.Tokens{}, ctx.Err()
					}
					owner := w.replica(func(s *sessions.Sessions) { s.Store, s.Refresher = dead, refresh.Func(hang) })
					other := w.replica(func(s *sessions.Sessions) {
						s.Store = skewedStore{w.store, ahead}
						s.Refresher = refresh.Func(func(context.Context, refresh.Tokens) (refresh.Tokens, error) {
							return refresh.Tokens{Access: "access-2", Refresh: "refresh-2"}, p.ask()
						})
					})
					tok, err := other.Start(t.Context(), refresh.Tokens{Access: "access-1", Refresh: "refresh-1"}, alice)
					if err != nil {
						t.Fatal(err)
					}
					go func() { _, _ = owner.Refresh(t.Context(), tok) }()
					time.Sleep(comes)
					w.refresh(other, tok)
					const lapses = 4 * time.Second
					if want := max(lapses, comes); len(p.calls) != 2 || p.calls[1] < want || p.calls[1] > want+250*time.Millisecond {
						t.Errorf("asked after %v, want again after %v", p.calls, want)
					}
				})
			})
		}
	}
}
