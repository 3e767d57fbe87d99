package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/event"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

func TestASignInUnderACutOffFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(revoking(&refreshtest.FaultyStore{}, true))
		if err := w.Revocations.RevokeSubject(t.Context(), "https://issuer.test", "ann", soon().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		rec := httptest.NewRecorder()
		if err := w.SignIn(rec, httptest.NewRequest("POST", "https://app.test/login", nil), w.provider.login("ann")); err == nil {
			t.Error("a login began that is over")
		}
		wantCookies(t, rec.Result(), 0)
	})
}

// A user who signs in again at once has a token of the second in which the
// other logins were revoked, and is signed in.
func TestASignInJustAfterACutOff(t *testing.T) {
	for _, logins := range []bool{false, true} {
		t.Run(fmt.Sprint("tokens name their login: ", logins), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &refreshtest.FaultyStore{}
				w, elsewhere := newWorld(revoking(store, logins)), newWorld(revoking(store, logins))
				old := w.signIn(t, "ann")
				<-time.After(time.Second)
				if err := w.Revocations.RevokeSubject(t.Context(), "https://issuer.test", "ann", soon()); err != nil {
					t.Fatal(err)
				}
				again := w.signIn(t, "ann")
				for _, replica := range []*world{w, elsewhere} {
					wantStatus(t, again.do(replica.Require(whoami), "GET", "/"), 200)
					wantStatus(t, old.do(replica.Require(whoami), "GET", "/"), 401)
				}
				<-time.After(time.Hour) // its first token has expired, and is asked for its age
				wantStatus(t, again.do(w.Require(whoami), "GET", "/"), 200)
			})
		})
	}
}

// A login that began just after one cut-off is revoked by the next, also if the
// issuer's clock is slow and the token looks older than both.
func TestALoginThatACutOffSparedEndsWithTheNext(t *testing.T) {
	for _, session := range []string{"", "one-session"} {
		for _, lag := range []time.Duration{0, 2 * time.Second, 5 * time.Minute} {
			t.Run(fmt.Sprint(lag, " behind, session ", session), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					store := &refreshtest.FaultyStore{}
					w, elsewhere := newWorld(revoking(store, false)), newWorld(revoking(store, false))
					for _, replica := range []*world{w, elsewhere} {
						replica.Verifier = lagging(w.checker, lag, session)
					}
					cutOff := func() {
						t.Helper()
						if err := w.Revocations.RevokeSubject(t.Context(), "https://issuer.test", "ann", time.Now().Add(time.Millisecond)); err != nil {
							t.Fatal(err)
						}
					}
					cutOff()
					<-time.After(lag / 2)
					b := w.signIn(t, "ann")
					// One that is told late is not a later one.
					if err := w.Revocations.RevokeSubject(t.Context(), "https://issuer.test", "ann", time.Now().Add(-lag/4)); err != nil {
						t.Fatal(err)
					}
					first := b.get("__Host-accessToken")
					for _, replica := range []*world{w, elsewhere} {
						wantStatus(t, b.do(replica.Require(whoami), "GET", "/"), 200)
					}
					<-time.After(10 * time.Second)
					wantStatus(t, b.do(w.RefreshHandler(), "POST", "/"), 204)
					second := b.get("__Host-accessToken")
					cutOff()
					wantStatus(t, serve(w.Require(whoami), bearer(first)), 401)
					wantStatus(t, serve(w.Require(whoami), bearer(second)), 401)
					<-time.After(10 * time.Second)
					wantStatus(t, serve(elsewhere.Require(whoami), bearer(first)), 401)
					wantStatus(t, serve(elsewhere.Require(whoami), bearer(second)), 401)
					<-time.After(life)
					wantStatus(t, b.do(elsewhere.Require(whoami), "GET", "/"), 401)
				})
			})
		}
	}
}

// A token that a thief has copied from a browser is revoked when its user signs
// out.
func TestSignOutRevokesTheAccessToken(t *testing.T) {
	for _, logins := range []bool{false, true} {
		t.Run(fmt.Sprint("tokens name their login: ", logins), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &refreshtest.FaultyStore{}
				w, elsewhere := newWorld(revoking(store, logins)), newWorld(revoking(store, logins))
				b := w.signIn(t, "ann")
				first := b.get("__Host-accessToken")
				<-time.After(10 * time.Second)
				wantStatus(t, b.do(w.RefreshHandler(), "POST", "/"), 204)
				second := b.get("__Host-accessToken")
				<-time.After(time.Second)
				for _, raw := range []string{first, second} {
					wantStatus(t, serve(elsewhere.Require(whoami), bearer(raw)), 200)
				}
				wantStatus(t, b.do(w.Logout(nil), "POST", "/"), 204)
				wantStatus(t, serve(w.Require(whoami), bearer(second)), 401)
				// A request that was under way leaves alone what the browser
				// has now.
				late := b.request("GET", "/")
				late.AddCookie(&http.Cookie{Name: "__Host-accessToken", Value: second})
				late.AddCookie(&http.Cookie{Name: "__Host-refreshToken", Value: "ann~1~refresh-token"})
				res := serve(w.Require(whoami), late)
				wantStatus(t, res, 401)
				wantCookies(t, res, 0)
				// The provider may sign in again at once, and call the login
				// the same.
				again := w.signIn(t, "ann")
				<-time.After(10 * time.Second)
				wantStatus(t, serve(elsewhere.Require(whoami), bearer(second)), 401)
				want := 200
				if logins {
					want = 401
				}
				wantStatus(t, serve(elsewhere.Require(whoami), bearer(first)), want)
				wantStatus(t, again.do(elsewhere.Require(whoami), "GET", "/"), 200)
			})
		})
	}
}

// Anybody can send an expired token with any claims. Signing out with one ends
// no login.
func TestSignOutBelievesOnlyVerifiedTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(revoking(&refreshtest.FaultyStore{}, true))
		b := w.signIn(t, "ann")
		<-time.After(time.Second)
		r := httptest.NewRequest("POST", "https://app.test/logout", nil)
		r.AddCookie(&http.Cookie{Name: "__Host-accessToken", Value: accessToken("ann", 5, time.Now().Add(-2*life))})
		wantStatus(t, serve(w.Logout(nil), r), 204)
		wantStatus(t, b.do(w.Require(whoami), "GET", "/"), 200)
	})
}

// The signature of an expired token has not been verified. So its iat does not
// prove that its login is younger than a cut-off.
func TestALoginUnderACutOffHasToProveItsAge(t *testing.T) {
	for name, test := range map[string]struct {
		access string // in the cookie; "real" for the one that the login has
		cutOff bool
		status int
	}{
		"without a cut-off, any token will do":           {"forged", false, 200},
		"without a cut-off, none will do":                {"", false, 200},
		"with one, a forged token will not":              {"forged", true, 401},
		"with one, none will not":                        {"", true, 401},
		"with one, the token of a younger login will":    {"real", true, 200},
		"with one, a token that is none at all will not": {"made-up", true, 401},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(revoking(&refreshtest.FaultyStore{}, false), func(a *middleware.Auth) {
					a.Verifier = prover{a.Verifier.(named)}
				})
				if test.cutOff {
					if err := w.Revocations.RevokeSubject(t.Context(), "https://issuer.test", "ann", time.Now()); err != nil {
						t.Fatal(err)
					}
				}
				b := w.signIn(t, "ann")
				switch test.access {
				case "real":
				case "forged":
					b.jar["__Host-accessToken"] = stored{value: accessToken("ann", 99, time.Now().Add(time.Second))}
				default:
					b.jar["__Host-accessToken"] = stored{value: test.access}
				}
				<-time.After(life + 2*time.Second)
				wantStatus(t, b.do(w.Require(whoami), "GET", "/"), test.status)
			})
		})
	}
}

// prover is a Verifier for which the tokens numbered 99 are forged.
type prover struct{ named }

func (p prover) VerifyExpired(ctx context.Context, raw string) (*verify.Token, error) {
	t, _ := p.named.Verify(ctx, raw)
	if t == nil || t.ID[:6] == "ann~99" {
		return nil, fmt.Errorf("%w: test", verify.ErrInvalid)
	}
	return t, nil
}

// Promise 2 holds for the Store of Revocations as well.
func TestPromise02AStoreOfRevocationsThatIsDownEndsNoLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &refreshtest.FaultyStore{}
		w := newWorld(revoking(store, true))
		store.SetDown(true)
		b := w.signIn(t, "ann")
		for range 3 {
			wantStatus(t, b.do(w.Require(whoami), "GET", "/"), 200)
			wantStatus(t, b.do(w.KeepAlive(whoami), "GET", "/"), 200)
			<-time.After(life + time.Second)
		}
		if w.saw(event.RevocationsFailed) == 0 {
			t.Error("nobody is told")
		}
		wantStatus(t, b.do(w.Logout(nil), "POST", "/"), 204)
		w.provider.expect(t, 2, 0)
	})
}

// lagging is a Verifier that sets the iat of tokens back, as an issuer does
// whose clock is slow.
func lagging(c *checker, lag time.Duration, session string) middleware.Verifier {
	return middleware.VerifierFunc(func(ctx context.Context, raw string) (*verify.Token, error) {
		token, err := c.Verify(ctx, raw)
		if token != nil {
			token.IssuedAt, token.Session = token.IssuedAt.Add(-lag), session
		}
		return token, err
	})
}

// A user who signs out and in again is signed in, although the provider's clock
// is slow and the tokens have the name of the same session.
func TestAnIssuerWhoseClockIsBehindKeepsNobodyOut(t *testing.T) {
	for _, session := range []string{"", "one-session"} {
		for _, lag := range []time.Duration{0, 2 * time.Second, 30 * time.Second, 5 * time.Minute} {
			for name, end := range map[string]func(w *world, b *browser) error{
				"a sign-out": func(w *world, b *browser) error {
					b.do(w.Logout(nil), "POST", "/")
					return nil
				},
				"a sign-out everywhere": func(w *world, _ *browser) error {
					return w.Revocations.RevokeSubject(context.Background(), "https://issuer.test", "ann", time.Time{})
				},
			} {
				t.Run(fmt.Sprint(name, ", ", lag, " behind, session ", session), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						w := newWorld(func(a *middleware.Auth) { a.Revocations = &middleware.Revocations{Store: new(refresh.MemoryStore)} })
						w.Verifier = lagging(w.checker, lag, session)
						before := w.signIn(t, "ann")
						copied := before.get("__Host-accessToken")
						<-time.After(10 * time.Second)
						if err := end(w, before); err != nil {
							t.Fatal(err)
						}
						after := &browser{jar: make(map[string]stored)}
						w.provider.set(func(p *provider) { p.current["ann"] = 7 })
						rec := httptest.NewRecorder()
						r := httptest.NewRequest("POST", "https://app.test/login", nil)
						if err := w.SignIn(rec, r, w.provider.issue("ann", 7)); err != nil {
							t.Fatal(err)
						}
						after.store(rec.Result())
						h := w.Require(whoami)
						wantStatus(t, after.do(h, "GET", "/"), 200)
						wantStatus(t, serve(h, bearer(copied)), 401)
						<-time.After(life) // its successor is as far behind
						wantStatus(t, after.do(h, "GET", "/"), 200)
						wantStatus(t, after.do(w.RefreshHandler(), "POST", "/"), 204)
						wantStatus(t, after.do(h, "GET", "/"), 200)
						closeWorld(t, w)
					})
				})
			}
		}
	}
}

// A token that is older than any slow clock explains begins no login, and
// neither does a token that was revoked by itself.
func TestASignInWithATokenThatIsNotNewFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(func(a *middleware.Auth) { a.Revocations = &middleware.Revocations{Store: new(refresh.MemoryStore)} })
		w.Verifier = lagging(w.checker, 7*time.Minute, "")
		if err := w.Revocations.RevokeSubject(t.Context(), "https://issuer.test", "ann", time.Time{}); err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("POST", "https://app.test/login", nil)
		if err := w.SignIn(httptest.NewRecorder(), r, w.provider.login("ann")); !errors.Is(err, refresh.ErrDenied) {
			t.Errorf("seven minutes behind: %v, want ErrDenied", err)
		}
		bobs := w.provider.login("bob")
		bob, err := w.Verifier.Verify(t.Context(), bobs.Access)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Revocations.RevokeToken(t.Context(), bob); err != nil {
			t.Fatal(err)
		}
		if err := w.SignIn(httptest.NewRecorder(), r, bobs); !errors.Is(err, verify.ErrInvalid) {
			t.Errorf("with a revoked token: %v, want ErrInvalid", err)
		}
		closeWorld(t, w)
	})
}
