package providers

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// withOpaqueTokens has the provider issue access tokens that say nothing.
func withOpaqueTokens(_ *testing.T, c *client) { c.opaque = true }

// isOpaque checks that a token is no JWT.
func isOpaque(t *testing.T, g *grant) {
	t.Helper()
	if token := g.code.issued.Access; token == "" || strings.Count(token, ".") == 2 && strings.HasPrefix(token, "eyJ") {
		t.Error("the access tokens are JWTs: the scenario shows nothing")
	}
}

// introspects: the provider is asked whether a token is good, and once for all
// that ask at the same time.
func introspects(t *testing.T, s *site) string {
	env := []string{"CREDENTIAL=introspection", "AUDIENCE=", "REMEMBER=" + remembered.String()}
	if at, ok := s.server.(interface{ introspection() string }); ok {
		env = append(env, "INTROSPECT_URL="+at.introspection())
	}
	s.start(t, env...)
	isOpaque(t, s.livesOnce(t, accessToken, remembered+later))
	return pass
}

// remembered is how long an answer of the provider's is used. Some say nothing
// of the token's expiry in it.
const remembered = time.Second

// later is how much before its expiry a token is due, and some more: until then
// it is good to who asks the provider.
const later = 2 * time.Second

// asksWhose: the provider is asked whose a token is, each time anew.
func asksWhose(t *testing.T, s *site) string {
	s.start(t, "CREDENTIAL=userinfo", "AUDIENCE=", "REMEMBER=0s")
	if !s.provider.quirks.forbids {
		isOpaque(t, s.livesOnce(t, accessToken, later))
		return pass
	}
	b, l := s.signIn(t)
	isOpaque(t, l)
	s.untilExpiry(t, b)
	let(t, later)
	s.fetch(t, b, http.MethodGet, "/", http.StatusServiceUnavailable)
	return "503 from the expiry on: its endpoint answers 403, which can have other reasons"
}

// takesIDTokens: the ID token is what requests are let in by.
func takesIDTokens(t *testing.T, s *site) string {
	s.start(t, "CREDENTIAL=id_token", "AUDIENCE=")
	s.livesOnce(t, idToken, 0)
	return pass
}

func accessToken(i issued) string { return i.Access }
func idToken(i issued) string     { return i.ID }

// withPushes has the provider accept pushed requests alone.
func withPushes(_ *testing.T, c *client) { c.RequirePAR = true }

// pushes: what the browser carries to the provider is no more than a reference.
func pushes(t *testing.T, s *site) string {
	s.serve(t)
	resp, err := (&http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}).Get(s.url + "/auth/login")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	to, err := resp.Location()
	if err != nil {
		t.Fatalf("the sign-in begins with %s", resp.Status)
	}
	if q := to.Query(); len(q) != 2 || q.Get("client_id") != s.client.ID || !strings.HasPrefix(q.Get("request_uri"), "urn:") {
		t.Errorf("the browser carries %q to the provider", q)
	}
	s.livesOnce(t, accessToken, 0)
	return pass
}
