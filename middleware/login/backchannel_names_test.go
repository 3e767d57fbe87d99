package login_test

import (
	"context"
	"maps"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/login"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/event"
	"github.com/tokenlife/tokenlife/refresh/sessions"
)

// pairwise is a Verifier of access tokens in which users and the issuer have
// other names than in ID tokens.
type pairwise struct {
	middleware.Verifier
	mu   sync.Mutex
	seen map[string]bool
}

func (p *pairwise) Verify(ctx context.Context, raw string) (*verify.Token, error) {
	t, err := p.Verifier.Verify(ctx, raw)
	if t == nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen == nil {
		p.seen = make(map[string]bool)
	}
	copied := *t
	copied.Session = ""
	if copied.Issuer, copied.Subject = "", ""; p.seen[raw] { // a sign-in compares no names that are absent
		copied.Issuer, copied.Subject = t.Issuer+"/api", t.Subject+"@shop.example"
	}
	p.seen[raw] = true
	return &copied, err
}

func otherNames(f *login.Flow) { f.Auth.Verifier = &pairwise{Verifier: f.Auth.Verifier} }

// firstID knows the ID token of the first sign-in.
type firstID struct{ raw string }

func (l *firstID) watch(f *login.Flow) {
	own, err := verify.New(verify.Issuer{URL: "https://provider.test", KeysURL: "https://provider.test/jwks", Audience: []string{"client"}})
	if err != nil {
		panic(err)
	}
	own.Client = f.Client.Client
	f.IDTokens = &onVerify{own, func(raw string) {
		if l.raw == "" {
			l.raw = raw
		}
	}}
}

func (l *firstID) session(t *testing.T) string {
	t.Helper()
	b := &browser{map[string]string{"__Host-accessToken": l.raw}}
	return b.session(t)
}

// A logout request names the login as the ID token does, and requests show the
// access token.
func TestABackChannelLogoutEndsALoginOfOtherNames(t *testing.T) {
	for name, claims := range map[string]func(sid string) map[string]any{
		"by sid":                              func(sid string) map[string]any { return map[string]any{"sid": sid} },
		"by sub":                              func(string) map[string]any { return map[string]any{"sub": "alice"} },
		"by both":                             func(sid string) map[string]any { return map[string]any{"sid": sid, "sub": "alice"} },
		"by sub, and a sid that nobody knows": func(string) map[string]any { return map[string]any{"sid": "x", "sub": "alice"} },
	} {
		for where, kept := range map[string]func(*login.Flow){"in cookies": revoking, "on the server": func(f *login.Flow) {
			logins := &sessions.Sessions{Refresher: f.Client, Store: new(refresh.MemoryStore), CacheFor: time.Second}
			f.Auth.Refresher = logins
			f.OnLogout = func(ctx context.Context, l login.Logout) error {
				if l.SessionUnknown {
					l.Session = ""
				}
				return logins.LogOut(ctx, l.Issuer, l.Subject, l.Session, l.Time)
			}
		}} {
			t.Run(name+", "+where, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ids := new(firstID)
					s, b, bob := newSite(t, kept, otherNames, ids.watch), newBrowser(), newBrowser()
					b.signIn(t, s)
					s.provider.Subject = "bob"
					bob.signIn(t, s)
					if resp := b.open(s, s.page(), "/"); resp.StatusCode != http.StatusOK {
						t.Fatalf("before the logout: %d", resp.StatusCode)
					}
					<-time.After(10 * time.Second)
					sid := ids.session(t)
					if resp := deliver(s.flow.BackChannel(), s.provider.LogoutToken(claims(sid))); resp.StatusCode != http.StatusOK {
						t.Errorf("answered %d", resp.StatusCode)
					}
					<-time.After(2 * time.Second)
					if resp := b.open(s, s.page(), "/"); resp.StatusCode != http.StatusFound {
						t.Errorf("the login is answered %d", resp.StatusCode)
					}
					if resp := bob.open(s, s.page(), "/"); resp.StatusCode != http.StatusOK {
						t.Errorf("another user is answered %d", resp.StatusCode)
					}
				})
			})
		}
	}
}

// Nobody knows the session: its login began before the Store lost its values.
func TestALogoutBySidThatIsNotKnown(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*login.Flow)
		claims map[string]any
		status int // of the answer
		login  int // of the next request of the login
	}{
		"with sub":                        {withoutSid, map[string]any{"sid": "lost", "sub": "alice"}, 200, 302},
		"with sub, and tokens have a sid": {func(*login.Flow) {}, map[string]any{"sid": "lost", "sub": "alice"}, 200, 302},
		"with the sub of somebody else":   {withoutSid, map[string]any{"sid": "lost", "sub": "bob"}, 200, 200},
		"alone":                           {withoutSid, map[string]any{"sid": "lost"}, 400, 200},
		"alone, for a program that may know it": {func(f *login.Flow) {
			withoutSid(f)
			f.OnLogout = func(_ context.Context, l login.Logout) error {
				if !l.SessionUnknown || l.Session != "lost" {
					t.Errorf("OnLogout is told %+v", l)
				}
				return nil
			}
		}, map[string]any{"sid": "lost"}, 200, 200},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, b := newSite(t, revoking, test.change), newBrowser()
				b.signIn(t, s)
				<-time.After(time.Minute)
				for range 2 { // the second one has nothing to learn from the first
					if resp := deliver(s.flow.BackChannel(), s.provider.LogoutToken(maps.Clone(test.claims))); resp.StatusCode != test.status {
						t.Errorf("answered %d, want %d", resp.StatusCode, test.status)
					}
				}
				if resp := b.open(s, s.page(), "/"); resp.StatusCode != test.login {
					t.Errorf("the login is answered %d, want %d", resp.StatusCode, test.login)
				}
			})
		})
	}
}

// A user has signed out here, and the provider tells of that in its turn: the
// logins of other browsers stay.
func TestALogoutOfASessionThatHasSignedOutHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b, other := newSite(t, revoking), newBrowser(), newBrowser()
		b.signIn(t, s)
		other.signIn(t, s)
		sid := b.session(t)
		b.signOut(t, s, "/")
		claims := map[string]any{"sid": sid, "sub": "alice"}
		if resp := deliver(s.flow.BackChannel(), s.provider.LogoutToken(claims)); resp.StatusCode != http.StatusOK {
			t.Errorf("answered %d", resp.StatusCode)
		}
		if resp := other.open(s, s.page(), "/"); resp.StatusCode != http.StatusOK {
			t.Errorf("the other login is answered %d", resp.StatusCode)
		}
	})
}

// All of it in one second, by whose number tokens cannot tell what came first.
func TestLogoutsInTheSecondOfTheSignIn(t *testing.T) {
	for name, step := range map[string]time.Duration{"at one moment": 0, "one after the other": 50 * time.Millisecond} {
		for by, claims := range map[string]func(sid string) map[string]any{
			"sid": func(sid string) map[string]any { return map[string]any{"sid": sid} },
			"sub": func(string) map[string]any { return map[string]any{"sub": "alice"} },
		} {
			t.Run(name+", by "+by, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newSite(t, revoking)
					logout := s.flow.BackChannel()
					for i := range 4 {
						b := newBrowser()
						b.signIn(t, s)
						sid := b.session(t)
						<-time.After(step)
						if resp := b.open(s, s.page(), "/"); resp.StatusCode != http.StatusOK {
							t.Errorf("sign-in %d is answered %d", i, resp.StatusCode)
						}
						if resp := deliver(logout, s.provider.LogoutToken(claims(sid))); resp.StatusCode != http.StatusOK {
							t.Errorf("logout %d is answered %d", i, resp.StatusCode)
						}
						if resp := b.open(s, s.page(), "/"); resp.StatusCode != http.StatusFound {
							t.Errorf("after logout %d the login is answered %d", i, resp.StatusCode)
						}
						<-time.After(step)
					}
				})
			})
		}
	}
}

// onVerify calls f before it verifies a token.
type onVerify struct {
	middleware.Verifier
	f func(raw string)
}

func (v *onVerify) Verify(ctx context.Context, raw string) (*verify.Token, error) {
	v.f(raw)
	return v.Verifier.Verify(ctx, raw)
}

// The provider has given the tokens, and ends the session before the login has
// begun here.
func TestALogoutWhileTheSignInIsUnderWay(t *testing.T) {
	for by, claims := range map[string]func(sid string) map[string]any{
		"sid":  func(sid string) map[string]any { return map[string]any{"sid": sid} },
		"sub":  func(string) map[string]any { return map[string]any{"sub": "alice"} },
		"both": func(sid string) map[string]any { return map[string]any{"sid": sid, "sub": "alice"} },
	} {
		for _, nth := range []int{1, 2} { // by the check of the tokens, and by the sign-in
			t.Run("by "+by, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var s *site
					calls := 0
					s = newSite(t, revoking, func(f *login.Flow) {
						f.Auth.Verifier = &onVerify{f.Auth.Verifier, func(raw string) {
							if calls++; calls != nth {
								return
							}
							var c struct {
								Sid string `json:"sid"`
							}
							if err := verify.UnverifiedClaims(raw, &c); err != nil {
								t.Error(err)
							}
							<-time.After(time.Millisecond)
							// That of a session which nobody knows yet may be refused.
							deliver(s.flow.BackChannel(), s.provider.LogoutToken(claims(c.Sid)))
						}}
					})
					b := newBrowser()
					b.open(s, s.callback, b.begin(t, s, "/").String())
					if resp := b.open(s, s.page(), "/"); resp.StatusCode != http.StatusFound {
						t.Errorf("the login is answered %d", resp.StatusCode)
					}
					<-time.After(time.Second)
					b.signIn(t, s)
					if resp := b.open(s, s.page(), "/"); resp.StatusCode != http.StatusOK {
						t.Errorf("after signing in again: %d", resp.StatusCode)
					}
				})
			})
		}
	}
}

// Logout tokens of the shapes that providers send.
func TestLogoutTokensAsProvidersSendThem(t *testing.T) {
	const url = "http://schemas.openid.net/event/backchannel-logout"
	for name, claims := range map[string]map[string]any{
		"iat with a fraction":              {"iat": float64(time.Date(2000, 1, 1, 0, 0, 10, 0, time.UTC).Unix()) + 0.25},
		"aud as a list":                    {"aud": []string{"client"}},
		"aud with others":                  {"aud": []string{"other", "client"}},
		"typ JWT":                          {"typ": "JWT"},
		"typ in other letters":             {"typ": "Logout+JWT"},
		"typ as a media type":              {"typ": "application/logout+jwt"},
		"an event with something in it":    {"events": map[string]any{url: map[string]any{"reason": "admin"}}},
		"other events beside it":           {"events": map[string]any{url: map[string]any{}, "urn:other": map[string]any{}}},
		"claims that are nobody's concern": {"tid": "t", "trace_id": "x", "auth_time": 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, b := newSite(t, revoking), newBrowser()
				b.signIn(t, s)
				<-time.After(10*time.Second + 300*time.Millisecond)
				claims["sub"] = "alice"
				if resp := deliver(s.flow.BackChannel(), s.provider.LogoutToken(claims)); resp.StatusCode != http.StatusOK {
					t.Errorf("answered %d: %v", resp.StatusCode, s.told(event.BackChannelLogout))
				}
				if resp := b.open(s, s.page(), "/"); resp.StatusCode != http.StatusFound {
					t.Errorf("the login is answered %d", resp.StatusCode)
				}
			})
		})
	}
}
