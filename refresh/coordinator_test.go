package refresh_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
)

func TestPromise01OneRefreshForAThousandCallers(t *testing.T) {
	for _, spread := range []time.Duration{0, 100 * time.Millisecond, time.Hour} {
		t.Run(spread.String(), func(t *testing.T) {
			coordinated(t, func(t *testing.T, c *refresh.Coordinator) {
				p := &strict{delay: 30 * time.Millisecond}
				c.Refresher = p
				var wg sync.WaitGroup
				for i := range 1000 {
					wg.Go(func() {
						<-time.After(spread * time.Duration(i) / 1000)
						mustRefresh(t, c, start("u"), generation("u", 1))
					})
				}
				wg.Wait()
				p.expect(t, 1, 0)
			})
		})
	}
}

func TestAResultIsRememberedUntilItHasArrivedAndGraceBeyond(t *testing.T) {
	coordinated(t, func(t *testing.T, c *refresh.Coordinator) {
		p := &strict{}
		c.Refresher = p
		mustRefresh(t, c, start("u"), generation("u", 1))
		<-time.After(23 * time.Hour) // the lid was closed
		mustRefresh(t, c, start("u"), generation("u", 1))
		c.MarkArrived(generation("u", 1))
		<-time.After(29 * time.Second)
		mustRefresh(t, c, start("u"), generation("u", 1))
		c.MarkArrived(generation("u", 1)) // must not lengthen the time
		<-time.After(2 * time.Second)
		p.expect(t, 1, 0)
		if _, err := c.Refresh(t.Context(), start("u")); !errors.Is(err, refresh.ErrDenied) {
			t.Errorf("after grace the old refresh token gave %v, want the provider's refusal", err)
		}
		p.expect(t, 2, 1)
	})
}

func TestAResultIsForgottenAfterKeep(t *testing.T) {
	coordinated(t, func(t *testing.T, c *refresh.Coordinator) {
		p := &strict{}
		c.Refresher, c.Keep = p, time.Hour
		mustRefresh(t, c, start("u"), generation("u", 1))
		<-time.After(time.Hour)
		if _, err := c.Refresh(t.Context(), start("u")); !errors.Is(err, refresh.ErrDenied) {
			t.Errorf("after Keep the old refresh token gave %v, want the provider's refusal", err)
		}
		p.expect(t, 2, 1)
	})
}

func TestPresentingTheNewRefreshTokenIsArrivalToo(t *testing.T) {
	coordinated(t, func(t *testing.T, c *refresh.Coordinator) {
		p := &strict{}
		c.Refresher = p
		mustRefresh(t, c, start("u"), generation("u", 1))
		<-time.After(time.Hour)
		mustRefresh(t, c, generation("u", 1), generation("u", 2))
		mustRefresh(t, c, start("u"), generation("u", 2)) // the newest, not its own successor
		<-time.After(31 * time.Second)
		if _, err := c.Refresh(t.Context(), start("u")); !errors.Is(err, refresh.ErrDenied) {
			t.Errorf("generation 0 gave %v long after generation 1 had arrived", err)
		}
		if p.calls != 3 {
			t.Errorf("%d calls, want 3", p.calls)
		}
	})
}

func TestPresentingOldTokensAgainAndAgainNeverForks(t *testing.T) {
	coordinated(t, func(t *testing.T, c *refresh.Coordinator) {
		p := &strict{}
		c.Refresher = p
		for n := range 50 {
			mustRefresh(t, c, generation("u", n), generation("u", n+1))
			for back := range min(n, 3) {
				mustRefresh(t, c, generation("u", n-back), generation("u", n+1))
			}
			<-time.After(5 * time.Second)
		}
		p.expect(t, 50, 0)
	})
}

func TestAProviderThatDoesNotRotateIsAskedOncePerAccessToken(t *testing.T) {
	coordinated(t, func(t *testing.T, c *refresh.Coordinator) {
		var calls atomic.Int64
		p := refresh.Func(func(_ context.Context, old refresh.Tokens) (refresh.Tokens, error) {
			return refresh.Tokens{Access: fmt.Sprint("access-", calls.Add(1))}, nil
		})
		c.Refresher = p
		first := refresh.Tokens{Access: "access-0", Refresh: "constant", ID: "id", RefreshExpiry: time.Now().Add(time.Hour)}
		for range 3 {
			got, err := c.Refresh(t.Context(), first)
			if err != nil || got.Access != "access-1" || got.Refresh != "constant" || got.ID != "id" || got.RefreshExpiry.IsZero() {
				t.Fatalf("got %+v, %v: the old refresh token, its expiry and the ID token must stay", got, err)
			}
		}
		second := refresh.Tokens{Access: "access-1", Refresh: "constant"}
		if got, err := c.Refresh(t.Context(), second); err != nil || got.Access != "access-2" {
			t.Fatalf("got %v, %v", got, err)
		}
		if got, err := c.Refresh(t.Context(), first); err != nil || got.Access != "access-2" {
			t.Fatalf("an old access token gave %v, %v, want the newest", got, err)
		}
		if calls.Load() != 2 {
			t.Errorf("%d calls, want 2", calls.Load())
		}
	})
}

func TestPromise03ARefreshOutlivesItsRequest(t *testing.T) {
	coordinated(t, func(t *testing.T, c *refresh.Coordinator) {
		p := &strict{delay: time.Second}
		c.Refresher = p
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-time.After(100 * time.Millisecond); cancel() }()
		if _, err := c.Refresh(ctx, start("u")); !errors.Is(err, context.Canceled) || errors.Is(err, refresh.ErrDenied) {
			t.Fatalf("the client that hung up got %v", err)
		}
		<-time.After(time.Hour)
		mustRefresh(t, c, start("u"), generation("u", 1))
		p.expect(t, 1, 0)
	})
}

func TestAnAnswerAfterTheCallersPatienceIsNotLost(t *testing.T) {
	coordinated(t, func(t *testing.T, c *refresh.Coordinator) {
		p := &strict{delay: 7 * time.Second}
		c.Refresher, c.Timeout = p, 5*time.Second
		begin := time.Now()
		_, err := c.Refresh(t.Context(), start("u"))
		if err == nil || errors.Is(err, refresh.ErrDenied) || time.Since(begin) != 5*time.Second {
			t.Fatalf("after %v: %v, want a temporary error after 5 s", time.Since(begin), err)
		}
		mustRefresh(t, c, start("u"), generation("u", 1)) // waits 2 s more for the same call
		p.expect(t, 1, 0)
	})
}

func TestAProviderThatNeverAnswersCostsTimeoutAndNoGoroutine(t *testing.T) {
	coordinated(t, func(t *testing.T, c *refresh.Coordinator) {
		p := &strict{delay: 24 * time.Hour}
		c.Refresher, c.Timeout = p, 2*time.Second
		begin := time.Now()
		if _, err := c.Refresh(t.Context(), start("u")); err == nil || time.Since(begin) != 2*time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		if err := c.Close(); err != nil || time.Since(begin) != 4*time.Second {
			t.Errorf("Close returned %v after %v, want when the call's own time is over", err, time.Since(begin))
		}
	})
}

func TestPromise02TemporaryErrorsAreNotRemembered(t *testing.T) {
	coordinated(t, func(t *testing.T, c *refresh.Coordinator) {
		p := &strict{}
		c.Refresher = p
		p.setFail(errors.New("502"))
		if _, err := c.Refresh(t.Context(), start("u")); err == nil || errors.Is(err, refresh.ErrDenied) {
			t.Fatalf("got %v, want a temporary error", err)
		}
		p.setFail(nil)
		mustRefresh(t, c, start("u"), generation("u", 1)) // the first request after it
	})
}

func TestARefusalIsSharedBriefly(t *testing.T) {
	coordinated(t, func(t *testing.T, c *refresh.Coordinator) {
		p := &strict{}
		c.Refresher = p
		p.setFail(fmt.Errorf("%w: invalid_grant", refresh.ErrDenied))
		for range 20 {
			if _, err := c.Refresh(t.Context(), start("u")); !errors.Is(err, refresh.ErrDenied) {
				t.Fatal(err)
			}
		}
		p.expect(t, 1, 0)
		p.setFail(nil)
		<-time.After(11 * time.Second)
		mustRefresh(t, c, start("u"), generation("u", 1))
	})
}

func TestARefusalForgetsNoResult(t *testing.T) {
	coordinated(t, func(t *testing.T, c *refresh.Coordinator) {
		refuse, asked := false, []string(nil)
		c.Refresher = refresh.Func(func(_ context.Context, old refresh.Tokens) (refresh.Tokens, error) {
			asked = append(asked, old.Access)
			if refuse {
				return refresh.Tokens{}, fmt.Errorf("%w: invalid_grant", refresh.ErrDenied)
			}
			return refresh.Tokens{Access: fmt.Sprint("access-", len(asked))}, nil
		})
		token := func(n int) refresh.Tokens {
			return refresh.Tokens{Access: fmt.Sprint("access-", n), Refresh: "constant"}
		}
		mustRefresh(t, c, token(0), token(1))
		refuse = true
		for range 2 {
			if _, err := c.Refresh(t.Context(), token(1)); !errors.Is(err, refresh.ErrDenied) {
				t.Fatal(err)
			}
			<-time.After(11 * time.Second)
			mustRefresh(t, c, token(0), token(1))
		}
		if want := []string{"access-0", "access-1", "access-1"}; !slices.Equal(asked, want) {
			t.Errorf("the provider was asked with %q, want %q", asked, want)
		}
	})
}

// Who presents a token after its Grace may be refused, while the login goes on
// with the successor.
func TestPromise05ARefusedTokenLeadsToTheEndOfItsLogin(t *testing.T) {
	coordinated(t, func(t *testing.T, c *refresh.Coordinator) {
		calls := 0
		c.Refresher = refresh.Func(func(_ context.Context, old refresh.Tokens) (refresh.Tokens, error) {
			if calls++; calls == 2 {
				return refresh.Tokens{}, fmt.Errorf("%w: used again", refresh.ErrDenied)
			}
			return generation("u", calls), nil
		})
		mustRefresh(t, c, start("u"), generation("u", 1))
		c.MarkArrived(generation("u", 1))
		<-time.After(time.Minute)
		if _, err := c.Refresh(t.Context(), start("u")); !errors.Is(err, refresh.ErrDenied) {
			t.Fatal(err)
		}
		<-time.After(11 * time.Second)
		if err := c.Revoke(t.Context(), start("u")); err != nil {
			t.Fatal(err)
		}
		if got, err := c.Refresh(t.Context(), generation("u", 1)); !errors.Is(err, refresh.ErrEnded) {
			t.Errorf("after the sign-out: %v, %v, want that it was ended", got, err)
		}
	}, memoryStore) // a process without a Store lets a result go with its Grace
}

// A Refresher that keeps logins itself may have ended one. Each caller is told so at
// once.
func TestALoginThatTheRefresherHasEnded(t *testing.T) {
	coordinated(t, func(t *testing.T, c *refresh.Coordinator) {
		c.Refresher = refresh.Func(func(context.Context, refresh.Tokens) (refresh.Tokens, error) {
			return refresh.Tokens{}, fmt.Errorf("test: %w", refresh.ErrEnded)
		})
		begin := time.Now()
		for range 3 {
			if _, err := c.Refresh(t.Context(), start("u")); !errors.Is(err, refresh.ErrEnded) {
				t.Errorf("got %v, want that it was ended", err)
			}
		}
		if took := time.Since(begin); took > 0 {
			t.Errorf("it took %v", took)
		}
	})
}

func TestAFloodOfMadeUpTokensDoesNotPushResultsOut(t *testing.T) {
	coordinated(t, func(t *testing.T, c *refresh.Coordinator) {
		p := &strict{}
		c.Refresher = p
		mustRefresh(t, c, start("good"), generation("good", 1))
		p.setFail(fmt.Errorf("%w: invalid_grant", refresh.ErrDenied))
		for i := range 5000 {
			if _, err := c.Refresh(t.Context(), start(fmt.Sprint("made-up-", i))); !errors.Is(err, refresh.ErrDenied) {
				t.Fatal(err)
			}
		}
		p.setFail(nil)
		mustRefresh(t, c, start("good"), generation("good", 1))
	})
}

func TestARenewalKnowsTheNewest(t *testing.T) {
	coordinated(t, func(t *testing.T, c *refresh.Coordinator) {
		p := &strict{}
		c.Refresher = p
		slow, err := c.Renew(t.Context(), start("u"))
		if err != nil {
			t.Fatal(err)
		}
		for n := 1; n < 50; n++ { // a long answer beside short lives
			<-time.After(time.Minute)
			mustRefresh(t, c, generation("u", n), generation("u", n+1))
			// Others come and go, so that what nobody holds is swept out.
			for i := range 50 {
				other := fmt.Sprintf("other-%d-%d", n, i)
				mustRefresh(t, c, start(other), generation(other, 1))
			}
		}
		if got, ok := slow.Newest(t.Context()); !ok || got != generation("u", 50) {
			t.Errorf("the slow response would write generation %s (%v), want 50", got.Refresh, ok)
		}
		if err := c.Revoke(t.Context(), generation("u", 50)); err != nil {
			t.Fatal(err)
		}
		if _, ok := slow.Newest(t.Context()); ok {
			t.Error("the slow response would sign the user in again")
		}
		slow.Release()
		slow.Release()
	})
}

func TestAPanicInTheRefresherIsAProvidersBadMinute(t *testing.T) {
	coordinated(t, func(t *testing.T, c *refresh.Coordinator) {
		panics := refresh.Func(func(context.Context, refresh.Tokens) (refresh.Tokens, error) { panic("secret") })
		c.Refresher = panics
		_, err := c.Refresh(t.Context(), start("u"))
		if err == nil || errors.Is(err, refresh.ErrDenied) || err.Error() != "refresh: the Refresher panicked" {
			t.Errorf("got %v", err)
		}
	})
}

func TestWhatACoordinatorRefusesAtOnce(t *testing.T) {
	coordinated(t, func(t *testing.T, c *refresh.Coordinator) {
		if _, err := c.Refresh(t.Context(), start("u")); err == nil || errors.Is(err, refresh.ErrDenied) {
			t.Errorf("without a Refresher: %v", err)
		}
	})
	coordinated(t, func(t *testing.T, c *refresh.Coordinator) {
		c.Refresher = &strict{}
		if _, err := c.Refresh(t.Context(), refresh.Tokens{Access: "a"}); !errors.Is(err, refresh.ErrDenied) {
			t.Errorf("without a refresh token: %v", err)
		}
	})
	coordinated(t, func(t *testing.T, c *refresh.Coordinator) {
		c.Refresher = refresh.Func(func(context.Context, refresh.Tokens) (refresh.Tokens, error) { return refresh.Tokens{}, nil })
		if _, err := c.Refresh(t.Context(), start("u")); err == nil || errors.Is(err, refresh.ErrDenied) {
			t.Errorf("a Refresher that returns nothing: %v", err)
		}
	})
}

// Whether what it knows is the newest, a Coordinator with a Store would have to ask
// that, so that one without a Store gives nothing either.
func TestAClosedCoordinatorGivesNothing(t *testing.T) {
	coordinated(t, func(t *testing.T, c *refresh.Coordinator) {
		c.Refresher = &strict{}
		mustRefresh(t, c, start("u"), generation("u", 1))
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		for _, old := range []string{"u", "v"} {
			if _, err := c.Refresh(t.Context(), start(old)); err == nil || errors.Is(err, refresh.ErrDenied) {
				t.Errorf("after Close %s gets %v, want a temporary error", old, err)
			}
		}
	})
}

// An app may keep its refresh token alone. What it gets is not an access token
// whose time is over, as long as the provider tells that time.
func TestWhoHasNoAccessTokenGetsNoneThatIsOver(t *testing.T) {
	coordinated(t, func(t *testing.T, c *refresh.Coordinator) {
		p := new(strict)
		c.Refresher = fiveMinutes(p)
		must := func(old, want int) {
			got, err := c.Refresh(t.Context(), refresh.Tokens{Refresh: generation("u", old).Refresh})
			if err != nil || got.Refresh != generation("u", want).Refresh || !time.Now().Before(got.Expiry) {
				t.Fatalf("generation %d gave %s, %v, %v; want generation %d", old, got.Refresh, got.Expiry, err, want)
			}
		}
		must(0, 1)
		must(0, 1) // the answer was lost
		p.expect(t, 1, 0)
		<-time.After(5 * time.Minute)
		must(1, 2)
		must(1, 2)
		p.expect(t, 2, 0)
		<-time.After(5 * time.Minute)
		must(1, 3) // the answer was lost, and what it brought is over
		p.expect(t, 3, 0)
	})
}

func BenchmarkFirstSight(b *testing.B) {
	c := &refresh.Coordinator{Refresher: &strict{}}
	for i := range 1000 {
		if _, err := c.Refresh(b.Context(), start(fmt.Sprint(i))); err != nil {
			b.Fatal(err)
		}
	}
	access := string(make([]byte, 1000))
	b.ReportAllocs()
	for b.Loop() {
		c.FirstSight(access)
	}
}

// A Timeout, Grace or Keep of the longest time there is means for ever.
func TestTimesForEver(t *testing.T) {
	const forEver time.Duration = 1<<63 - 1
	for name, set := range map[string]func(*refresh.Coordinator){
		"timeout": func(c *refresh.Coordinator) { c.Timeout = forEver },
		"grace":   func(c *refresh.Coordinator) { c.Grace = forEver },
		"keep":    func(c *refresh.Coordinator) { c.Keep = forEver },
	} {
		t.Run(name, func(t *testing.T) {
			coordinated(t, func(t *testing.T, c *refresh.Coordinator) {
				set(c)
				p := new(strict)
				c.Refresher = p
				mustRefresh(t, c, start("u"), generation("u", 1))
				c.MarkArrived(generation("u", 1))
				<-time.After(time.Second)
				mustRefresh(t, c, start("u"), generation("u", 1))
				mustRefresh(t, c, generation("u", 1), generation("u", 2))
				p.expect(t, 2, 0)
			})
		})
	}
}

// A provider that gives an older refresh token of the login again: its tokens lead
// round in a ring.
func TestAProviderThatGivesAnOlderRefreshTokenAgain(t *testing.T) {
	coordinated(t, func(t *testing.T, c *refresh.Coordinator) {
		var calls []string
		next := map[string]string{"a": "b", "b": "c", "c": "b"}
		c.Refresher = refresh.Func(func(_ context.Context, old refresh.Tokens) (refresh.Tokens, error) {
			calls = append(calls, old.Refresh)
			return refresh.Tokens{Access: fmt.Sprint("access ", len(calls)), Refresh: next[old.Refresh]}, nil
		})
		old := refresh.Tokens{Access: "access 0", Refresh: "a"}
		for range 7 {
			got, err := c.Refresh(t.Context(), old)
			if err != nil || got.Refresh != next[old.Refresh] {
				t.Fatalf("%s gave %s, %v", old.Refresh, got.Refresh, err)
			}
			old = got
			<-time.After(5 * time.Minute)
		}
		if got := fmt.Sprint(calls); got != "[a b c b c b c]" {
			t.Errorf("the provider was asked with %s", got)
		}
	})
}
