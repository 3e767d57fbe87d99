package login_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/middleware/login"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
	"github.com/tokenlife/tokenlife/refresh/sessions"
)

func TestFaultsOfTheTokenEndpoint(t *testing.T) {
	const timeout = 4 * time.Second
	for _, test := range []struct {
		name  string
		fault refreshtest.Fault
		want  int
	}{
		{"500", refreshtest.ServerError, http.StatusBadGateway},
		{"503", refreshtest.Unavailable, http.StatusBadGateway},
		{"429", refreshtest.Overloaded, http.StatusBadGateway},
		{"a reset", refreshtest.Reset, http.StatusBadGateway},
		{"no answer", refreshtest.Hang, http.StatusBadGateway},
		{"an answer without end", refreshtest.HangBody, http.StatusBadGateway},
		{"garbage", refreshtest.Garbage, http.StatusBadGateway},
		{"8 MiB", refreshtest.Huge, http.StatusBadGateway},
		{"a redirect to another host", refreshtest.Redirect, http.StatusBadGateway},
		{"a wrong client secret", refreshtest.InvalidClient, http.StatusBadGateway},
		{"an answer that is lost", refreshtest.LostAnswer, http.StatusBadGateway},
		{"tokens with status 500", refreshtest.LyingError, http.StatusBadGateway},
		{"a refused code", refreshtest.Refuse, http.StatusBadRequest},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, b := newSite(t, func(f *login.Flow) { f.Timeout = timeout }), newBrowser()
				b.signIn(t, s) // an earlier login, which must outlive the failure
				before := b.copy()
				back := b.begin(t, s, "/")
				s.provider.Fail(test.fault, -1)
				calls := s.provider.Stats().Calls
				var resp *http.Response
				waited := took(func() { resp = b.open(s, s.callback, back.String()) })
				if resp.StatusCode != test.want || waited > timeout {
					t.Errorf("status %d after %v, want %d within %v", resp.StatusCode, waited, test.want, timeout)
				}
				if n := s.provider.Stats().Calls - calls; n != 1 {
					t.Errorf("the code was sent %d times", n)
				}
				for name, value := range before.cookies {
					if b.cookies[name] != value {
						t.Errorf("cookie %s of the earlier login has changed", name)
					}
				}
				if len(b.cookies) != len(before.cookies) {
					t.Errorf("%d cookies, want %d", len(b.cookies), len(before.cookies))
				}
				s.provider.Fail(refreshtest.None, 0)
				b.signIn(t, s)
				s.silent(t)
			})
		})
	}
}

func TestCallbacksAtOnceAreOneExchange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := newSite(t), newBrowser()
		back := b.begin(t, s, "/cart")
		s.provider.SetDelay(time.Second)
		browsers := make([]*browser, 20)
		var wg sync.WaitGroup
		for i := range browsers {
			browsers[i] = b.copy()
			wg.Go(func() {
				if resp := browsers[i].open(s, s.callback, back.String()); resp.Header.Get("Location") != "/cart" {
					t.Errorf("status %d", resp.StatusCode)
				}
			})
		}
		wg.Wait()
		for _, other := range browsers {
			if other.cookies["__Host-accessToken"] != browsers[0].cookies["__Host-accessToken"] || !other.signedIn() {
				t.Error("not all have the same login")
			}
		}
		if n := s.provider.Stats().Calls; n != 1 {
			t.Errorf("the provider saw the code %d times", n)
		}
	})
}

// Where logins are kept on the server they are one login there too, also where one
// of them leaves as it begins.
func TestCallbacksAtOnceBeginOneLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var kept *sessions.Sessions
		store := new(refreshtest.FaultyStore)
		store.Intercept(func(ctx context.Context, c refreshtest.StoreCall, do func() (bool, error)) error {
			if c.Swap { // it takes its time to write
				select {
				case <-time.After(200 * time.Millisecond):
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			_, err := do()
			return err
		})
		s, b := newSite(t, func(f *login.Flow) {
			kept = &sessions.Sessions{Refresher: f.Client, Store: store}
			f.Auth.Refresher = kept
		}), newBrowser()
		defer kept.Close()
		back := b.begin(t, s, "/").String()
		s.provider.SetDelay(time.Second)
		leaves, stays := b.copy(), b.copy()
		var wg sync.WaitGroup
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 1100*time.Millisecond)
			defer cancel()
			s.callback.ServeHTTP(httptest.NewRecorder(), leaves.request(ctx, back))
		})
		wg.Go(func() {
			if resp := stays.open(s, s.callback, back); resp.StatusCode != http.StatusSeeOther || !stays.signedIn() {
				t.Errorf("status %d", resp.StatusCode)
			}
		})
		wg.Wait()
		if logins, err := kept.List(t.Context(), s.provider.URL(""), "alice"); err != nil || len(logins) != 1 {
			t.Errorf("%d logins, %v, want one", len(logins), err)
		}
		time.Sleep(6 * time.Minute)
		if resp := stays.open(s, s.page(), "/"); resp.StatusCode != http.StatusOK || s.provider.Stats().Revoked != 0 {
			t.Errorf("after a refresh: %d, %d logins revoked at the provider", resp.StatusCode, s.provider.Stats().Revoked)
		}
	})
}

func TestAUserWhoReloadsASlowCallbackIsSignedIn(t *testing.T) {
	for _, test := range []struct {
		name    string
		returns time.Duration // after the first was begun, which hangs up after a second
		want    int
	}{
		{"while the code is being redeemed", 2 * time.Second, http.StatusSeeOther},
		{"after it has been", 20 * time.Second, http.StatusSeeOther},
		{"too late", time.Minute, http.StatusBadRequest},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, b := newSite(t), newBrowser()
				back := b.begin(t, s, "/cart")
				s.provider.SetDelay(3 * time.Second)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				w := httptest.NewRecorder() // its answer never arrives
				s.callback.ServeHTTP(w, b.request(ctx, back.String()))
				time.Sleep(test.returns - time.Second)
				resp := b.open(s, s.callback, back.String())
				if resp.StatusCode != test.want || b.signedIn() != (test.want == http.StatusSeeOther) {
					t.Errorf("status %d, want %d", resp.StatusCode, test.want)
				}
				if n := s.provider.Stats().Calls; n != 1 {
					t.Errorf("the provider saw the code %d times", n)
				}
			})
		})
	}
}

func TestCloseWaitsForTheExchange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := newSite(t), newBrowser()
		back := b.begin(t, s, "/")
		late := b.begin(t, s, "/")
		s.provider.SetDelay(3 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		s.callback.ServeHTTP(httptest.NewRecorder(), b.request(ctx, back.String()))
		waited := took(func() {
			if err := s.flow.Close(); err != nil {
				t.Error(err)
			}
		})
		if waited != 2*time.Second || s.provider.Stats().Exchanged != 1 {
			t.Errorf("Close waited %v, and %d codes were redeemed", waited, s.provider.Stats().Exchanged)
		}
		if resp := b.open(s, s.callback, late.String()); resp.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("a callback after Close: status %d", resp.StatusCode)
		}
	})
}
