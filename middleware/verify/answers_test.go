package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/refresh/event"
)

// An authority is a provider that knows tokens.
type authority struct {
	mu    sync.Mutex
	asked map[string]int
	ends  map[string]time.Time // of its tokens; zero: never
	delay time.Duration
	err   error // what every call answers instead
	now   int   // calls under way
	peak  int
}

func newAuthority(tokens ...string) *authority {
	a := &authority{asked: make(map[string]int), ends: make(map[string]time.Time)}
	for _, raw := range tokens {
		a.ends[raw] = time.Time{}
	}
	return a
}

func (a *authority) set(f func(a *authority)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f(a)
}

func (a *authority) calls(raw string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked[raw]
}

func (a *authority) total() (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, asked := range a.asked {
		n += asked
	}
	return n
}

func (a *authority) ask(ctx context.Context, raw string) ([]byte, string, error) {
	a.mu.Lock()
	a.asked[raw]++
	a.now++
	a.peak = max(a.peak, a.now)
	delay := a.delay
	a.mu.Unlock()
	defer a.set(func(a *authority) { a.now-- })
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return nil, "", ctx.Err()
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		return nil, "", a.err
	}
	end, ok := a.ends[raw]
	if !ok || !end.IsZero() && !time.Now().Before(end) {
		return []byte(`{"active":false}`), asJSON, nil
	}
	changes := map[string]any{"sub": "user-of-" + raw[:4], "exp": nil}
	if !end.IsZero() {
		changes["exp"] = end.Unix()
	}
	return []byte(activeAnswer(changes)), asJSON, nil
}

// answering runs f in a bubble, with an Introspection at an authority that knows
// the token opaqueToken.
func answering(t *testing.T, change func(*Introspection), f func(t *testing.T, i *Introspection, a *authority)) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(opaqueToken)
		i := &Introspection{Ask: a.ask, Issuer: testURL, Audience: []string{testAudience}}
		if change != nil {
			change(i)
		}
		f(t, i, a)
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	})
}

func expect(t *testing.T, i *Introspection, raw, want string) {
	t.Helper()
	if got, _, err := outcome(t, i, raw); got != want {
		t.Errorf("the token is %s (%v), want %s", got, err, want)
	}
}

func (a *authority) expect(t *testing.T, raw string, calls int) {
	t.Helper()
	if n := a.calls(raw); n != calls {
		t.Errorf("the provider was asked %d times, want %d", n, calls)
	}
}

func TestRequestsAtOnceWaitForOneCall(t *testing.T) {
	answering(t, nil, func(t *testing.T, i *Introspection, a *authority) {
		a.delay = time.Second
		for round := range 3 {
			var wg sync.WaitGroup
			for range 100 {
				wg.Go(func() {
					expect(t, i, opaqueToken, "accepted")
					expect(t, i, "made-up-token-1", "refused")
				})
			}
			wg.Wait()
			a.expect(t, opaqueToken, round+1)
			a.expect(t, "made-up-token-1", round+1)
			<-time.After(defaultRemember)
		}
	})
}

func TestARevokedTokenIsAcceptedForRememberAtMost(t *testing.T) {
	for _, remember := range []time.Duration{0, 10 * time.Second, -1} {
		answering(t, func(i *Introspection) { i.Remember = remember }, func(t *testing.T, i *Introspection, a *authority) {
			expect(t, i, opaqueToken, "accepted")
			a.set(func(a *authority) { delete(a.ends, opaqueToken) })
			if left := max(0, cmp.Or(remember, defaultRemember)); left > 0 {
				<-time.After(left - time.Millisecond)
				expect(t, i, opaqueToken, "accepted")
				a.expect(t, opaqueToken, 1)
				<-time.After(time.Millisecond)
			}
			expect(t, i, opaqueToken, "expired") // it is known whose it was
			expect(t, i, opaqueToken, "expired")
			a.expect(t, opaqueToken, 2)
		})
	}
}

func TestTheTimeOfACallCountsAsRemembered(t *testing.T) {
	answering(t, nil, func(t *testing.T, i *Introspection, a *authority) {
		a.delay = 4 * time.Second
		expect(t, i, opaqueToken, "accepted")
		<-time.After(defaultRemember - 4*time.Second)
		a.delay = 0
		expect(t, i, opaqueToken, "accepted")
		a.expect(t, opaqueToken, 2)
	})
}

func TestATokenIsNotRememberedBeyondItsExpiry(t *testing.T) {
	answering(t, func(i *Introspection) { i.Remember = time.Hour }, func(t *testing.T, i *Introspection, a *authority) {
		a.ends[opaqueToken] = time.Now().Add(20 * time.Second)
		expect(t, i, opaqueToken, "accepted")
		<-time.After(20*time.Second - time.Millisecond)
		expect(t, i, opaqueToken, "accepted")
		a.expect(t, opaqueToken, 1)
		<-time.After(time.Millisecond)
		expect(t, i, opaqueToken, "expired") // by its provider, whose clock may be another
		a.expect(t, opaqueToken, 2)
		<-time.After(time.Minute)
		a.err = errDown
		for range 3 {
			expect(t, i, opaqueToken, "expired") // by both clocks: nobody has to be asked
		}
		a.expect(t, opaqueToken, 2)
	})
}

func TestAnExpiredTokenThatWasGoodSaysWhoseItWas(t *testing.T) {
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	answering(t, nil, func(t *testing.T, i *Introspection, a *authority) {
		a.ends[opaqueToken] = time.Now().Add(20 * time.Second)
		expect(t, i, opaqueToken, "accepted")
		for _, after := range []time.Duration{0, 21 * time.Second, time.Hour} {
			<-time.After(after)
			token, err := i.VerifyExpired(gone, opaqueToken)
			if err != nil || token.Subject != "user-of-ory_" || token.Raw != opaqueToken {
				t.Errorf("after %v: %v, %v", after, token, err)
			}
		}
		a.expect(t, opaqueToken, 1)
		if token, err := i.VerifyExpired(t.Context(), "made-up-token-1"); !errors.Is(err, ErrInvalid) || token != nil {
			t.Errorf("an unknown token is %v", err)
		}
		if token, err := i.VerifyExpired(gone, "made-up-token-2"); !errors.Is(err, context.Canceled) || token != nil {
			t.Errorf("an unknown token is %v", err)
		}
		synctest.Wait()
		a.expect(t, "made-up-token-2", 0)
	})
}

func TestARefusedTokenIsNotAskedAboutAgainAtOnce(t *testing.T) {
	answering(t, nil, func(t *testing.T, i *Introspection, a *authority) {
		const late = "a-token-that-is-known-later"
		for range 50 {
			expect(t, i, late, "refused")
			<-time.After(refusedFor/50 - time.Millisecond)
		}
		a.expect(t, late, 1)
		a.set(func(a *authority) { a.ends[late] = time.Time{} })
		<-time.After(time.Second)
		expect(t, i, late, "accepted")
		a.expect(t, late, 2)
	})
}

func TestWhileTheProviderIsDownARememberedTokenStaysGood(t *testing.T) {
	answering(t, nil, func(t *testing.T, i *Introspection, a *authority) {
		expect(t, i, opaqueToken, "accepted")
		a.set(func(a *authority) { a.err = errDown })
		<-time.After(defaultRemember - time.Millisecond)
		expect(t, i, opaqueToken, "accepted")
		<-time.After(time.Millisecond)
		expect(t, i, opaqueToken, "unknown")
		expect(t, i, "made-up-token-1", "unknown")
		a.set(func(a *authority) { a.err = nil })
		expect(t, i, opaqueToken, "accepted")
		expect(t, i, "made-up-token-1", "refused") // an outage refuses nobody
	})
}

func TestStaleForAcceptsATokenForLongerWhileTheProviderIsDown(t *testing.T) {
	stale := func(i *Introspection) { i.StaleFor = 10 * time.Minute }
	answering(t, stale, func(t *testing.T, i *Introspection, a *authority) {
		const short = "short-lived-token"
		a.ends[short] = time.Now().Add(3 * time.Minute)
		expect(t, i, opaqueToken, "accepted")
		expect(t, i, short, "accepted")
		a.set(func(a *authority) { a.err = errDown })
		for range 109 { // 9 minutes
			<-time.After(5 * time.Second)
			expect(t, i, opaqueToken, "accepted")
			if got, _, _ := outcome(t, i, short); (got == "accepted") != time.Now().Before(a.ends[short]) {
				t.Errorf("the short-lived token is %s", got)
			}
		}
		a.set(func(a *authority) { a.err = nil; delete(a.ends, opaqueToken) })
		<-time.After(2 * time.Second)
		expect(t, i, opaqueToken, "expired") // the provider's word counts, not what is stale
		a.set(func(a *authority) { a.err = errDown })
		<-time.After(time.Minute)
		expect(t, i, opaqueToken, "unknown")
	})
	answering(t, stale, func(t *testing.T, i *Introspection, a *authority) {
		expect(t, i, opaqueToken, "accepted")
		a.set(func(a *authority) { a.err = errDown })
		<-time.After(11*time.Minute - time.Second)
		expect(t, i, opaqueToken, "accepted")
		<-time.After(time.Second)
		expect(t, i, opaqueToken, "unknown")
	})
}

func TestAProviderThatIsDownIsNotAskedForEachRequest(t *testing.T) {
	answering(t, nil, func(t *testing.T, i *Introspection, a *authority) {
		expect(t, i, opaqueToken, "accepted")
		<-time.After(defaultRemember)
		a.set(func(a *authority) { a.err = errDown })
		for range 1000 {
			expect(t, i, opaqueToken, "unknown")
			<-time.After(10 * time.Millisecond)
		}
		if n := a.calls(opaqueToken); n > 1+maxFailures+10 {
			t.Errorf("the provider was asked %d times in ten seconds", n)
		}
		a.set(func(a *authority) { a.err = nil })
		<-time.After(failurePause)
		expect(t, i, opaqueToken, "accepted")
	})
}

// A flood of made-up tokens has a share of the calls. It neither pushes good
// tokens out nor takes their calls, nor makes the provider look down.
func TestMadeUpTokensHaveTheirOwnShare(t *testing.T) {
	answering(t, func(i *Introspection) { i.MaxCalls = 8 }, func(t *testing.T, i *Introspection, a *authority) {
		expect(t, i, opaqueToken, "accepted")
		a.set(func(a *authority) { a.delay = time.Second })
		var wg sync.WaitGroup
		var mu sync.Mutex
		got := make(map[string]int)
		turnedAway, begin := 0, time.Now()
		for n := range 3000 {
			wg.Go(func() {
				o, _, _ := outcome(t, i, fmt.Sprintf("made-up-token-%d", n))
				mu.Lock()
				defer mu.Unlock()
				got[o]++
				if time.Since(begin) == 0 {
					turnedAway++
				}
			})
		}
		<-time.After(500 * time.Millisecond)
		expect(t, i, opaqueToken, "accepted")
		const given = "given-by-the-provider"
		a.set(func(a *authority) { a.ends[given] = time.Time{} })
		i.Expect(given)
		start := time.Now()
		expect(t, i, given, "accepted")
		if waited := time.Since(start); waited != time.Second {
			t.Errorf("a token that is expected waited for %v", waited)
		}
		if a.peak > 3 {
			t.Errorf("%d calls at once about tokens that were never good", a.peak)
		}
		<-time.After(time.Millisecond)
		for range maxFailures + 1 {
			<-time.After(defaultRemember)
			start := time.Now()
			expect(t, i, opaqueToken, "accepted")
			if waited := time.Since(start); waited > time.Second {
				t.Errorf("a good token waited for %v", waited)
			}
		}
		wg.Wait()
		if got["refused"]+got["unknown"] != 3000 || a.total() > 40 || turnedAway != 3000-maxStrangers {
			t.Errorf("%v, %d of them at once, with %d calls", got, turnedAway, a.total())
		}
	})
}

func TestRefusedTokensPushNoGoodOneOut(t *testing.T) {
	answering(t, func(i *Introspection) { i.CacheTokens = 10 }, func(t *testing.T, i *Introspection, a *authority) {
		expect(t, i, opaqueToken, "accepted")
		for n := range 2 * maxRefused {
			expect(t, i, fmt.Sprintf("made-up-token-%d", n), "refused")
		}
		expect(t, i, opaqueToken, "accepted")
		a.expect(t, opaqueToken, 1)
		if n := i.answers.refused.Len(); n > maxRefused {
			t.Errorf("%d refused tokens are remembered", n)
		}
		for n := range 100 {
			raw := fmt.Sprintf("good-token-%d", n)
			a.ends[raw] = time.Time{}
			expect(t, i, raw, "accepted")
		}
		if n := i.answers.known.Len(); n > 10 {
			t.Errorf("%d tokens are remembered", n)
		}
	})
}

func TestAClientThatLeavesCostsTheOthersNothing(t *testing.T) {
	answering(t, nil, func(t *testing.T, i *Introspection, a *authority) {
		a.delay = 2 * time.Second
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := i.Verify(ctx, opaqueToken); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v, of the client that has left", err)
			}
		})
		synctest.Wait()
		start := time.Now()
		expect(t, i, opaqueToken, "accepted")
		wg.Wait()
		if waited := time.Since(start); waited != 2*time.Second {
			t.Errorf("the other waited for %v", waited)
		}
		a.expect(t, opaqueToken, 1)
	})
}

func TestACallIsBoundedInTimeAndEndsWithClose(t *testing.T) {
	answering(t, nil, func(t *testing.T, i *Introspection, a *authority) {
		i.Observe = nil
		a.delay = time.Hour
		start := time.Now()
		expect(t, i, opaqueToken, "unknown")
		if waited := time.Since(start); waited != defaultTimeout {
			t.Errorf("waited for %v", waited)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			expect(t, i, opaqueToken, "unknown")
		}()
		synctest.Wait()
		if err := i.Close(); err != nil {
			t.Error(err)
		}
		<-done
		expect(t, i, opaqueToken, "unknown")
		a.expect(t, opaqueToken, 2)
	})
}

func TestEventsTellOfEachCall(t *testing.T) {
	var mu sync.Mutex
	var told []event.Event
	answering(t, nil, func(t *testing.T, i *Introspection, a *authority) {
		i.ObserveDefault(func(_ context.Context, e event.Event) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, e)
		})
		a.delay = time.Second
		expect(t, i, opaqueToken, "accepted")
		expect(t, i, opaqueToken, "accepted")
		expect(t, i, "made-up-token-1", "refused")
		a.set(func(a *authority) { a.err = fmt.Errorf("test: %s", opaqueToken) })
		<-time.After(defaultRemember)
		expect(t, i, opaqueToken, "unknown")
	})
	if len(told) != 3 {
		t.Fatalf("told %v, want three calls", told)
	}
	for n, e := range told {
		if e.Kind != event.TokenAsked || e.Issuer != testURL || e.Took != time.Second || (e.Err != nil) != (n == 2) {
			t.Errorf("told %+v", e)
		}
		if text := e.LogValue().String(); strings.Contains(text, opaqueToken[:12]) || !strings.Contains(text, "took_ms=1000") {
			t.Errorf("logged %s", text)
		}
	}
	if told[0].Level.String() != "DEBUG" || told[2].Level.String() != "WARN" {
		t.Errorf("logged as %v and %v", told[0].Level, told[2].Level)
	}
}

func TestATokenInUseCostsNoAllocation(t *testing.T) {
	i := newIntrospection(t)
	var token Token
	for range 20 {
		if err := i.VerifyTo(t.Context(), opaqueToken, &token); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(100, func() { _ = i.VerifyTo(t.Context(), opaqueToken, &token) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
