package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// reads returns the number of Gets of store.
func reads(store *refreshtest.FaultyStore) int {
	gets, _ := store.Count()
	return gets
}

func TestAnAnswerIsAskedForOncePerLoginAndCacheFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &refreshtest.FaultyStore{}
		store.SetDelay(0, 20*time.Millisecond)
		v := &middleware.Revocations{Store: store}
		crowd := func() {
			var wg sync.WaitGroup
			for i := range 100 {
				wg.Go(func() {
					token := tokenOfAnn(func(t *verify.Token) { t.ID = fmt.Sprint("id-", i%7) })
					if err := v.Check(t.Context(), token); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		}
		for _, want := range []int{2, 4, 6} {
			crowd()
			crowd()
			if got := reads(store); got != want {
				t.Errorf("%d Gets, want %d", got, want)
			}
			<-time.After(9600 * time.Millisecond)
		}
	})
}

// When an answer is no longer fresh, one request waits for a new one. The
// others use the old one.
func TestOneAsksWhileOthersGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &refreshtest.FaultyStore{}
		v := &middleware.Revocations{Store: store}
		token := tokenOfAnn()
		_ = v.Check(t.Context(), token)
		<-time.After(9600 * time.Millisecond)
		store.SetDelay(0, 100*time.Millisecond)
		begin := time.Now()
		go func() { _ = v.Check(context.Background(), token) }()
		synctest.Wait()
		if err := v.Check(t.Context(), token); err != nil || time.Since(begin) != 0 {
			t.Errorf("%v after %v, want an answer at once", err, time.Since(begin))
		}
		<-time.After(time.Second)
		if got := reads(store); got != 4 {
			t.Errorf("%d Gets, want 2 at first and 2 again", got)
		}
	})
}

// A running Get may be older than a cut-off. A sign-in, whose result lasts,
// does not use it.
func TestASignInAsksAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &refreshtest.FaultyStore{}
		w, elsewhere := newWorld(revoking(store, false)), &middleware.Revocations{Store: store}
		tokens := w.provider.login("ann")
		store.SetDelay(0, 100*time.Millisecond)
		go func() { _ = w.Revocations.Check(context.Background(), w.tokenOf(t, tokens.Access)) }()
		<-time.After(120 * time.Millisecond) // the answer for the token is there, that for the subject is not
		store.SetDelay(0, 0)
		if err := elsewhere.RevokeSubject(t.Context(), "https://issuer.test", "ann", soon().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if err := w.SignIn(httptest.NewRecorder(), httptest.NewRequest("POST", "https://app.test/", nil), tokens); !errors.Is(err, refresh.ErrDenied) {
					t.Errorf("a login begins that is over: %v", err)
				}
			})
		}
		wg.Wait()
	})
}

func TestAStoreThatFailsIsLeftAloneAndRevokesNothing(t *testing.T) {
	for name, fail := range map[string]func(*refreshtest.FaultyStore){
		"it answers with errors": func(s *refreshtest.FaultyStore) { s.SetDown(true) },
		"it hangs":               func(s *refreshtest.FaultyStore) { s.SetDelay(time.Hour, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &refreshtest.FaultyStore{}
				v := &middleware.Revocations{Store: store}
				good, revoked := tokenOfAnn(), tokenOfAnn(func(t *verify.Token) { t.Session = "session-2" })
				if err := v.RevokeLogin(t.Context(), revoked.Issuer, revoked.Session, time.Now().Add(time.Second)); err != nil {
					t.Fatal(err)
				}
				if got := state(v, good) + ", " + state(v, revoked); got != "good, login over" {
					t.Fatalf("before: %s", got)
				}
				fail(store)
				<-time.After(time.Minute)
				asked, begin := reads(store), time.Now()
				if got := state(v, good); got != "unknown" {
					t.Errorf("a good token: %s, want unknown", got)
				}
				if took := time.Since(begin); took > time.Second/2 {
					t.Errorf("the question took %v", took)
				}
				begin = time.Now()
				for range 100 {
					if got := state(v, good) + ", " + state(v, revoked); got != "good, login over" {
						t.Fatalf("while it is down: %s", got)
					}
				}
				if got := reads(store) - asked; got != 1 || time.Since(begin) != 0 {
					t.Errorf("%d Gets in the second after a failure and %v, want 1 and none", got, time.Since(begin))
				}
				// Revoked here it counts, whatever becomes of the store.
				if err := v.RevokeToken(t.Context(), good); err == nil {
					t.Error("the store is down, and nobody is told")
				}
				if got := state(v, good); got != "token revoked" {
					t.Errorf("revoked while the store is down: %s", got)
				}
				store.SetDown(false)
				store.SetDelay(0, 0)
				<-time.After(time.Minute)
				if got := state(v, good) + ", " + state(v, revoked); got != "token revoked, login over" {
					t.Errorf("when it is back: %s", got)
				}
			})
		})
	}
}

func TestRevocationsWithoutACacheAskEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &refreshtest.FaultyStore{}
		here, there := &middleware.Revocations{Store: store, CacheFor: -1}, &middleware.Revocations{Store: store}
		token := tokenOfAnn()
		for want := 2; want <= 6; want += 2 {
			if got := state(here, token); got != "good" || reads(store) != want {
				t.Errorf("%s after %d Gets, want %d", got, reads(store), want)
			}
		}
		if err := there.RevokeSubject(t.Context(), token.Issuer, token.Subject, time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		if got := state(here, token); got != "login over" {
			t.Errorf("after a revocation elsewhere: %s", got)
		}
	})
}

// An error would tell the caller that other replicas do not know of it.
func TestARevocationWhoseAnswerIsLostHasBeenMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &refreshtest.FaultyStore{}
		here, there := &middleware.Revocations{Store: store}, &middleware.Revocations{Store: store}
		token := tokenOfAnn()
		store.LoseAnswers(1)
		if err := here.RevokeToken(t.Context(), token); err != nil {
			t.Error(err)
		}
		if got := state(there, token); got != "token revoked" {
			t.Errorf("at another replica: %s", got)
		}
	})
}

// Forty replicas revoke tokens of one login at once.
func TestManyRevocationsOfOneLoginAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &refreshtest.FaultyStore{}
		store.SetDelay(time.Millisecond, time.Millisecond)
		var wg sync.WaitGroup
		for i := range 40 {
			wg.Go(func() {
				token := tokenOfAnn(func(t *verify.Token) { t.ID = fmt.Sprint("id-", i) })
				if err := (&middleware.Revocations{Store: store}).RevokeToken(t.Context(), token); err != nil {
					t.Errorf("token %d: %v", i, err)
				}
			})
		}
		wg.Wait()
	})
}
