package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
)

// lagging takes tokens for older than they are, as from an issuer whose clock is
// behind: their iat is what counts against a cut-off.
func lagging(c *checker, lag time.Duration, session string) middleware.Verifier {
	return middleware.VerifierFunc(func(ctx context.Context, raw string) (*verify.Token, error) {
		token, err := c.Verify(ctx, raw)
		if token != nil {
			token.IssuedAt, token.Session = token.IssuedAt.Add(-lag), session
		}
		return token, err
	})
}

// Who signs out and in again is signed in, although the provider's clock is
// behind and its session, whose name the tokens bear, is the same.
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
						wantStatus(t, after.do(w.Refresh(), "POST", "/"), 204)
						wantStatus(t, after.do(h, "GET", "/"), 200)
						closeWorld(t, w)
					})
				})
			}
		}
	}
}

// What is older than any clock explains, and what was revoked by itself, begins
// no login.
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
