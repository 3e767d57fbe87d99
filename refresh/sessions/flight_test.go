package sessions_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/sessions"
)

func TestARefresherThatPanicsEndsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		panics := true
		s := w.replica(func(s *sessions.Sessions) {
			s.Refresher = refresh.Func(func(ctx context.Context, old refresh.Tokens) (refresh.Tokens, error) {
				if panics {
					panic(old.Refresh)
				}
				return w.provider.Refresh(ctx, old)
			})
		})
		tok := w.start(s, alice)
		_, err := s.Refresh(t.Context(), tok)
		if err == nil || errors.Is(err, refresh.ErrDenied) {
			t.Errorf("error is %v, want one that is temporary", err)
		} else {
			silent(t, "the error", err.Error(), "provider-refresh-token-alice-1")
		}
		panics = false
		begin := time.Now()
		w.refresh(w.replica(), tok)
		if took := time.Since(begin); took != 0 {
			t.Errorf("its claim stood for %v", took)
		}
	})
}

// Close waits for a refresh at whatever step it is.
func TestCloseWaitsForAResult(t *testing.T) {
	for n := range 8 {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.provider.delay = 200 * time.Millisecond
			w.store.SetDelay(50*time.Millisecond, 50*time.Millisecond)
			s := w.replica()
			tok := w.start(s, alice)
			go func() { _, _ = s.Refresh(t.Context(), tok) }()
			time.Sleep(time.Duration(n)*70*time.Millisecond + time.Millisecond)
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if _, err := s.Refresh(t.Context(), tok); err == nil || errors.Is(err, refresh.ErrDenied) {
				t.Errorf("after Close: %v, want an error that is temporary", err)
			}
			w.provider.delay = 0
			w.refresh(w.replica(), tok)
			w.asked(1)
		})
	}
}

func TestAThousandCallersAtTwoReplicasAskOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.provider.delay = time.Second
		replicas := []*sessions.Sessions{w.replica(), w.replica()}
		tok := w.start(replicas[0], alice)
		next := make([]refresh.Tokens, 1000)
		var callers sync.WaitGroup
		for n := range next {
			callers.Go(func() {
				var err error
				if next[n], err = replicas[n%2].Refresh(t.Context(), tok); err != nil {
					t.Error(err)
				}
			})
		}
		callers.Wait()
		for _, got := range next {
			if got != next[0] {
				t.Fatal("two callers get two successors")
			}
		}
		w.asked(1)
	})
}

func TestAResultOutlivesItsCaller(t *testing.T) {
	for name, tt := range map[string]struct {
		delay, leaves time.Duration
	}{
		"the client hangs up":                {time.Second, 100 * time.Millisecond},
		"the answer comes after its Timeout": {9 * time.Second, time.Hour},
	} {
		for _, elsewhere := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.provider.delay = tt.delay
				s, other := w.replica(), w.replica()
				tok := w.start(s, alice)
				ctx, cancel := context.WithTimeout(t.Context(), tt.leaves)
				defer cancel()
				begin := time.Now()
				if _, err := s.Refresh(ctx, tok); err == nil || errors.Is(err, refresh.ErrDenied) || !strings.HasPrefix(err.Error(), "sessions: ") {
					t.Errorf("%s: error is %v, want one that is temporary", name, err)
				}
				if took := time.Since(begin); took != min(tt.leaves, refresh.DefaultTimeout) {
					t.Errorf("%s: it waited %v", name, took)
				}
				if elsewhere {
					s = other
				}
				next := w.refresh(s, tok) // waits for the same call
				if again := w.refresh(other, tok); again != next {
					t.Errorf("%s: it gets another successor", name)
				}
				w.asked(1)
			})
		}
	}
}

func TestALostAnswerIsAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var asked []time.Duration
		begin := time.Now()
		answer := refresh.Tokens{Access: "access-2", Refresh: "refresh-2"}
		s := w.replica(func(s *sessions.Sessions) {
			s.Refresher = refresh.Func(func(context.Context, refresh.Tokens) (refresh.Tokens, error) {
				if asked = append(asked, time.Since(begin)); len(asked) < 3 {
					return refresh.Tokens{}, fmt.Errorf("reset: %w", refresh.ErrNoAnswer)
				}
				return answer, nil
			})
		})
		tok, err := s.Start(t.Context(), refresh.Tokens{Access: "access-1", Refresh: "refresh-1"}, alice)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Refresh(t.Context(), tok); !errors.Is(err, refresh.ErrNoAnswer) || errors.Is(err, refresh.ErrDenied) {
			t.Errorf("error is %v, want ErrNoAnswer", err)
		}
		time.Sleep(10 * time.Second) // nobody comes
		synctest.Wait()
		if len(asked) != 3 || asked[2] < time.Second || asked[2] > 3*time.Second {
			t.Fatalf("asked after %v", asked)
		}
		if got := w.access(s, w.refresh(s, tok)); got != answer.Access || len(asked) != 3 {
			t.Errorf("the access token is %q, asked after %v", got, asked)
		}
	})
}
