package login_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/middleware/login"
	"github.com/tokenlife/tokenlife/refresh/event"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// A logout token that has ended nothing is not taken for used.
func TestALogoutThatTookTooLongMayBeTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		s := newSite(t, func(f *login.Flow) {
			f.OnLogout = func(ctx context.Context, _ login.Logout) error {
				if calls++; calls > 1 {
					return nil
				}
				<-ctx.Done()
				return ctx.Err()
			}
		})
		logout, token := s.flow.BackChannel(), s.provider.LogoutToken(map[string]any{"sub": "alice"})
		refusedLogout(t, s, deliver(logout, token), "temporarily_unavailable")
		if resp := deliver(logout, token); resp.StatusCode != http.StatusOK || calls != 2 {
			t.Errorf("tried again: %d, after %d calls of OnLogout", resp.StatusCode, calls)
		}
		refusedLogout(t, s, deliver(logout, token), "invalid_request")
	})
}

// The store has noted that the token is used, and its answer is lost.
func TestALogoutWhoseMarkWasNotConfirmedMayBeTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(refreshtest.FaultyStore)
		s, b := newSite(t, revoking, func(f *login.Flow) { f.Store = store }), newBrowser()
		logout := s.flow.BackChannel()
		b.signIn(t, s)
		token := s.provider.LogoutToken(map[string]any{"sub": "alice"})
		store.LoseAnswers(1)
		refusedLogout(t, s, deliver(logout, token), "temporarily_unavailable")
		if resp := deliver(logout, token); resp.StatusCode != http.StatusOK {
			t.Errorf("tried again: %d", resp.StatusCode)
		}
		if resp := b.open(s, s.page(), "/"); resp.StatusCode != http.StatusFound {
			t.Errorf("the login is answered %d", resp.StatusCode)
		}
		// What has been used stays so, also where a replay meets the same fault.
		store.LoseAnswers(1)
		refusedLogout(t, s, deliver(logout, token), "temporarily_unavailable")
		refusedLogout(t, s, deliver(logout, token), "invalid_request")
	})
}

// The names of a login are for a logout that may come. The user does not wait
// for a store that hangs.
func TestASignInDoesNotWaitForAStoreThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(refreshtest.FaultyStore)
		s, b := newSite(t, revoking, func(f *login.Flow) { f.Store = store }), newBrowser()
		store.SetDelay(time.Minute, 0)
		if waited := took(func() { b.signIn(t, s) }); waited > 3*time.Second {
			t.Errorf("the sign-in took %v", waited)
		}
		if told := s.told(event.RevocationsFailed); len(told) != 1 {
			t.Errorf("told %d times", len(told))
		}
	})
}

// A mark outlives the token, of which the provider's clock decides how old it is.
func TestALogoutTokenIsGoodOnceForAsLongAsItIsGood(t *testing.T) {
	for name, test := range map[string]struct{ ahead, after time.Duration }{
		"in its last seconds":                  {0, 5*time.Minute - time.Second},
		"in those by a clock that is in front": {20 * time.Second, 5*time.Minute + 19*time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, revoking)
				logout := s.flow.BackChannel()
				issued := time.Now().Add(test.ahead)
				token := func() string {
					return s.provider.LogoutToken(map[string]any{"sub": "alice", "iat": issued.Unix(), "exp": issued.Add(time.Hour).Unix()})
				}
				used, late := token(), token()
				if resp := deliver(logout, used); resp.StatusCode != http.StatusOK {
					t.Fatalf("answered %d", resp.StatusCode)
				}
				<-time.After(test.after)
				refusedLogout(t, s, deliver(logout, used), "invalid_request")
				if resp := deliver(logout, late); resp.StatusCode != http.StatusOK {
					t.Errorf("one that has not been used is answered %d", resp.StatusCode)
				}
			})
		})
	}
}
