package login_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/login"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/event"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// revoking gives the site's Auth revocations; it has not been used yet.
func revoking(f *login.Flow) { f.Auth.Revocations = &middleware.Revocations{} }

// withoutSid is a provider whose access tokens do not name their session.
func withoutSid(f *login.Flow) { f.Auth.Verifier = unnamed{f.Auth.Verifier} }

// deliver sends a logout request as a provider does.
func deliver(h http.Handler, token string) *http.Response {
	return post(h, url.Values{"logout_token": {token}}.Encode())
}

func post(h http.Handler, form string) *http.Response {
	r := httptest.NewRequest(http.MethodPost, origin+"/backchannel-logout", strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

// session returns the provider's name for the login in b.
func (b *browser) session(t *testing.T) string {
	t.Helper()
	var claims struct {
		Sid string `json:"sid"`
	}
	if err := verify.UnverifiedClaims(b.cookies["__Host-accessToken"], &claims); err != nil || claims.Sid == "" {
		t.Fatalf("the access token names no session: %v", err)
	}
	return claims.Sid
}

func (s *site) page() http.Handler {
	return s.auth.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
}

// unnamed is a Verifier of tokens that name no session.
type unnamed struct{ middleware.Verifier }

func (u unnamed) Verify(ctx context.Context, raw string) (*verify.Token, error) {
	t, err := u.Verifier.Verify(ctx, raw)
	if t != nil {
		t.Session = ""
	}
	return t, err
}

// The whole way: two users sign in, the provider ends the session of one, and
// the next request of that one leads to a new sign-in.
func TestABackChannelLogoutEndsTheLogin(t *testing.T) {
	for name, test := range map[string]struct {
		claims   func(sid string) map[string]any
		nameless bool // access tokens have no sid
		second   bool // another login of the same user ends too
	}{
		"by sid":                                {func(sid string) map[string]any { return map[string]any{"sid": sid} }, false, false},
		"by sid and sub":                        {func(sid string) map[string]any { return map[string]any{"sid": sid, "sub": "alice"} }, false, false},
		"by sub":                                {func(string) map[string]any { return map[string]any{"sub": "alice"} }, false, true},
		"by sid, of tokens without one":         {func(sid string) map[string]any { return map[string]any{"sid": sid} }, true, true},
		"by sid and sub, of tokens without one": {func(sid string) map[string]any { return map[string]any{"sid": sid, "sub": "alice"} }, true, true},
		"by a token whose typ is JWT":           {func(sid string) map[string]any { return map[string]any{"sid": sid, "typ": "JWT"} }, false, false},
	} {
		for age, after := range map[string]time.Duration{"good": time.Minute, "expired": 6 * time.Minute} {
			t.Run(name+", the access token being "+age, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					change := []func(*login.Flow){revoking}
					if test.nameless {
						change = append(change, withoutSid)
					}
					s := newSite(t, change...)
					logout := s.flow.BackChannel()
					b, second, bob := newBrowser(), newBrowser(), newBrowser()
					b.signIn(t, s)
					second.signIn(t, s)
					s.bob(t, bob)
					sid := b.session(t)
					<-time.After(after)
					resp := deliver(logout, s.provider.LogoutToken(test.claims(sid)))
					if resp.StatusCode != http.StatusOK || resp.Header.Get("Cache-Control") != "no-store" || len(resp.Cookies()) != 0 {
						t.Errorf("answered %d, Cache-Control %q, %d cookies", resp.StatusCode, resp.Header.Get("Cache-Control"), len(resp.Cookies()))
					}
					resp = b.open(s, s.page(), "/")
					if resp.StatusCode != http.StatusFound || b.signedIn() || b.cookies["tokenLife"] != "0" {
						t.Errorf("the next request: %d, signed in: %t", resp.StatusCode, b.signedIn())
					}
					if resp := second.open(s, s.page(), "/"); (resp.StatusCode == http.StatusFound) != test.second {
						t.Errorf("the other login of the user is answered %d", resp.StatusCode)
					}
					if resp := bob.open(s, s.page(), "/"); resp.StatusCode != http.StatusOK {
						t.Errorf("another user is answered %d", resp.StatusCode)
					}
					// Signing in again begins a login that is good.
					<-time.After(time.Second)
					b.signIn(t, s)
					<-time.After(6 * time.Minute)
					if resp := b.open(s, s.page(), "/"); resp.StatusCode != http.StatusOK {
						t.Errorf("after signing in again: %d", resp.StatusCode)
					}
				})
			})
		}
	}
}

// bob signs in as another user.
func (s *site) bob(t *testing.T, b *browser) {
	t.Helper()
	w := httptest.NewRecorder()
	if err := s.auth.SignIn(w, httptest.NewRequest(http.MethodPost, origin+"/", nil), s.provider.Login("bob")); err != nil {
		t.Fatal(err)
	}
	b.take(w.Result())
}

// The provider has taken the refresh token, and is slow to answer, as its logout
// arrives.
func TestARefreshUnderWayDoesNotOutliveABackChannelLogout(t *testing.T) {
	for name, claims := range map[string]func(sid string) map[string]any{
		"by sid": func(sid string) map[string]any { return map[string]any{"sid": sid} },
		"by sub": func(string) map[string]any { return map[string]any{"sub": "alice"} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, b := newSite(t, revoking), newBrowser()
				logout := s.flow.BackChannel()
				b.signIn(t, s)
				sid := b.session(t)
				<-time.After(6 * time.Minute)
				s.provider.SetDelay(3 * time.Second)
				done := make(chan *http.Response)
				go func() { done <- b.open(s, s.page(), "/") }()
				<-time.After(1500 * time.Millisecond)
				if resp := deliver(logout, s.provider.LogoutToken(claims(sid))); resp.StatusCode != http.StatusOK {
					t.Fatalf("the logout is answered %d", resp.StatusCode)
				}
				if resp := <-done; resp.StatusCode != http.StatusFound || b.signedIn() {
					t.Errorf("the request under way: %d, signed in: %t", resp.StatusCode, b.signedIn())
				}
				if n := s.provider.Stats().Refreshed; n != 1 {
					t.Errorf("%d refreshes, want the one under way", n)
				}
			})
		})
	}
}

// refusedLogout checks the answer of section 2.8 to what is not carried out.
func refusedLogout(t *testing.T, s *site, resp *http.Response, code string) {
	t.Helper()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	s.output.Write(text)
	var answer struct {
		Error string `json:"error"`
	}
	if err := json.Unmarshal(text, &answer); err != nil || answer.Error != code {
		t.Errorf("the body says %q, want %q", answer.Error, code)
	}
	if resp.StatusCode != http.StatusBadRequest || resp.Header.Get("Cache-Control") != "no-store" ||
		resp.Header.Get("Access-Control-Allow-Origin") != "" || len(resp.Cookies()) != 0 {
		t.Errorf("answered %d with %v", resp.StatusCode, resp.Header)
	}
}

// A logout token is good once, in all replicas that share a Store, unless it
// could not be carried out.
func TestALogoutTokenIsGoodOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(refresh.MemoryStore)
		shared := func(f *login.Flow) { f.Auth.Revocations = &middleware.Revocations{Store: store} }
		var fails, calls atomic.Int32
		s := newSite(t, shared, func(f *login.Flow) {
			f.OnLogout = func(_ context.Context, l login.Logout) error {
				if calls.Add(1) == 1 && l == (login.Logout{Issuer: "https://provider.test", Subject: "alice", Session: "s", Time: time.Unix(time.Now().Unix(), 0), SessionUnknown: true}) {
					fails.Add(1)
					return errors.New("test: the database is down")
				}
				return nil
			}
		})
		sibling := &login.Flow{
			Auth:   &middleware.Auth{Verifier: s.auth.Verifier, Revocations: &middleware.Revocations{Store: store}},
			Client: s.flow.Client, RedirectURL: s.flow.RedirectURL,
		}
		defer sibling.Close()
		token := s.provider.LogoutToken(map[string]any{"sub": "alice", "sid": "s"})
		logout := s.flow.BackChannel()
		refusedLogout(t, s, deliver(logout, token), "temporarily_unavailable")
		if resp := deliver(logout, token); resp.StatusCode != http.StatusOK {
			t.Errorf("tried again: %d", resp.StatusCode)
		}
		refusedLogout(t, s, deliver(logout, token), "invalid_request")
		refusedLogout(t, s, deliver(sibling.BackChannel(), token), "invalid_request")
		<-time.After(4 * time.Minute)
		refusedLogout(t, s, deliver(logout, token), "invalid_request")
		if calls.Load() != 2 || fails.Load() != 1 {
			t.Errorf("OnLogout was called %d times and failed %d times, want 2 and 1", calls.Load(), fails.Load())
		}
	})
}

func TestBackChannelNeedsSomethingToEnd(t *testing.T) {
	s := newSite(t)
	defer func() {
		if recover() == nil {
			t.Error("BackChannel has nothing to end and does not panic")
		}
	}()
	s.flow.BackChannel()
}

// With OnLogout alone, which a program has that keeps its sessions by itself.
func TestBackChannelWithOnLogoutAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []login.Logout
		s := newSite(t, func(f *login.Flow) {
			f.OnLogout = func(_ context.Context, l login.Logout) error { got = append(got, l); return nil }
		})
		logout := s.flow.BackChannel()
		if resp := deliver(logout, s.provider.LogoutToken(map[string]any{"sid": "s-1"})); resp.StatusCode != http.StatusOK {
			t.Errorf("answered %d", resp.StatusCode)
		}
		if len(got) != 1 || got[0].Session != "s-1" || got[0].Subject != "" || got[0].Issuer != s.provider.URL("") {
			t.Errorf("OnLogout got %+v", got)
		}
	})
}

// What could not be done is not to be taken for done, nor for refused.
func TestALogoutThatCannotBeCarriedOutMayBeTriedAgain(t *testing.T) {
	for name, broken := range map[string]func(down *bool, store *refreshtest.FaultyStore) func(*login.Flow){
		"the keys are out of reach": func(down *bool, _ *refreshtest.FaultyStore) func(*login.Flow) {
			return func(f *login.Flow) {
				f.LogoutTokens = middleware.VerifierFunc(func(context.Context, string) (*verify.Token, error) {
					if *down {
						return nil, errors.New("test: down")
					}
					return &verify.Token{
						Raw:    "e30.eyJldmVudHMiOnsiaHR0cDovL3NjaGVtYXMub3BlbmlkLm5ldC9ldmVudC9iYWNrY2hhbm5lbC1sb2dvdXQiOnt9fX0.c2ln", // events alone
						Issuer: "https://provider.test", Subject: "alice", ID: "1", IssuedAt: time.Now(),
					}, nil
				})
			}
		},
		"the store for used tokens is down": func(_ *bool, store *refreshtest.FaultyStore) func(*login.Flow) {
			return func(f *login.Flow) { f.Store = store }
		},
		"the store of the revocations is down": func(_ *bool, store *refreshtest.FaultyStore) func(*login.Flow) {
			return func(f *login.Flow) {
				f.Auth.Revocations.Store, f.Store = store, new(refresh.MemoryStore)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var down bool
				store := new(refreshtest.FaultyStore)
				setDown := func(is bool) { down = is; store.SetDown(is) }
				setDown(true)
				s, b := newSite(t, revoking, broken(&down, store)), newBrowser()
				logout := s.flow.BackChannel()
				setDown(false)
				b.signIn(t, s)
				setDown(true)
				token := s.provider.LogoutToken(map[string]any{"sub": "alice"})
				resp := deliver(logout, token)
				if resp.Header.Get("Retry-After") == "" {
					t.Error("nothing says that it may be tried again")
				}
				refusedLogout(t, s, resp, "temporarily_unavailable")
				setDown(false)
				if resp := deliver(logout, token); resp.StatusCode != http.StatusOK {
					t.Errorf("tried again: %d", resp.StatusCode)
				}
				if resp := b.open(s, s.page(), "/"); resp.StatusCode != http.StatusFound {
					t.Errorf("the login is answered %d", resp.StatusCode)
				}
			})
		})
	}
}

// What a logout by sid will miss is told when it comes about.
func TestASessionThatCannotBeNotedIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(refreshtest.FaultyStore)
		store.SetDown(true)
		s, b := newSite(t, revoking, withoutSid, func(f *login.Flow) { f.Store = store }), newBrowser()
		b.signIn(t, s) // which goes on without
		var told []error
		for _, e := range s.events {
			if e.Kind == event.RevocationsFailed {
				told = append(told, e.Err)
			}
		}
		if len(told) != 1 || !errors.Is(told[0], refreshtest.ErrStoreDown) {
			t.Errorf("told %v, want one failure of the store", told)
		}
	})
}

// A logout token is used once at all replicas, without a word about the Store.
func TestWhatAFlowKeepsIsInTheStoreOfTheLogins(t *testing.T) {
	for name, change := range map[string]func(f *login.Flow, s refresh.Store){
		"without revocations": func(*login.Flow, refresh.Store) {},
		"with revocations":    func(f *login.Flow, _ refresh.Store) { f.Auth.Revocations = &middleware.Revocations{} },
		"with revocations of another store": func(f *login.Flow, s refresh.Store) {
			f.Auth.Refresher, f.Auth.Revocations = f.Client, &middleware.Revocations{Store: s}
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := new(refreshtest.FaultyStore)
			s := newSite(t, func(f *login.Flow) {
				f.Auth.Refresher = &refresh.Coordinator{Refresher: f.Client, Store: store}
				f.OnLogout = func(context.Context, login.Logout) error { return nil }
				change(f, store)
			})
			token := s.provider.LogoutToken(map[string]any{"sub": "alice"})
			if res := deliver(s.flow.BackChannel(), token); res.StatusCode != http.StatusOK {
				t.Fatalf("answered %d", res.StatusCode)
			}
			if _, swaps := store.Count(); swaps == 0 {
				t.Error("nothing is in the Store that the replicas share")
			}
		})
	}
}
