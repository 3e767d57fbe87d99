package middlewaretest

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
)

// NewContext returns a copy of ctx with an access token that has these claims, as
// [middleware.Auth.Require] leaves it for the handler. Claims that are not given
// are made up; the subject is "alice". The groups are the claim "groups". It
// panics at claims that no token could have.
func NewContext(ctx context.Context, claims map[string]any) context.Context {
	now := time.Now()
	all := map[string]any{
		"iss": "https://provider.test", "sub": "alice", "aud": "api", "client_id": "client",
		"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "jti": rand.Text(),
	}
	maps.Copy(all, claims)
	maps.DeleteFunc(all, func(_ string, value any) bool { return value == nil })

	// What fields a token has for its claims is verify's to say.
	k := newKey()
	url, _ := all["iss"].(string)
	verifier, err := verify.New(verify.Issuer{
		URL: url, SkipAudienceCheck: true, GroupsClaim: "groups",
		Keys: func(context.Context) ([]byte, error) { return k.jwks(), nil },
	})
	must(err)
	verifier.CacheTokens = -1
	defer verifier.Close()
	t, err := verifier.Verify(context.WithoutCancel(ctx), k.sign("at+jwt", all))
	if err != nil && !errors.Is(err, verify.ErrExpired) {
		must(err)
	}
	return middleware.NewContext(ctx, t)
}

// SignIn gives r the cookies of a login, as a browser would send them. The login
// may have been made by [Provider.Login]; one whose access token has ended is
// what a browser comes back with after a while. It panics if auth does not take
// the login.
func SignIn(auth *middleware.Auth, r *http.Request, login refresh.Tokens) {
	w := httptest.NewRecorder()
	err := auth.SignIn(w, r, login)
	if errors.Is(err, verify.ErrExpired) {
		must(auth.Cookies.Replace(r.Header, login))
		return
	}
	must(err)
	Keep(r, w.Result())
}

// Keep changes the cookies of r, the next request of a browser, by what an answer
// has set: cookies that were set before are replaced, and deleted ones taken out.
// Paths and ages are not looked at.
func Keep(r *http.Request, answer *http.Response) {
	set := answer.Cookies()
	jar := slices.DeleteFunc(r.Cookies(), func(old *http.Cookie) bool {
		return slices.ContainsFunc(set, func(c *http.Cookie) bool { return c.Name == old.Name })
	})
	r.Header.Del("Cookie")
	for _, c := range append(jar, set...) {
		if c.MaxAge >= 0 {
			r.AddCookie(c)
		}
	}
}

// decode returns the claims of a JWT that this package or refreshtest has signed.
func decode(raw string) map[string]any {
	claims := make(map[string]any)
	must(verify.UnverifiedClaims(raw, &claims))
	return claims
}

// session is the name of the login that t belongs to.
func session(t refresh.Tokens) string {
	sid, _ := decode(t.Access)["sid"].(string)
	return sid
}

// expiry returns what raw says of its end, if anything.
func expiry(raw string) (time.Time, bool) {
	exp, ok := decode(raw)["exp"].(float64)
	return time.Unix(int64(exp), 0), ok
}
