package providers

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/tokenlife/tokenlife/examples/internal/browser"
)

// usedTwice: somebody else has got hold of a refresh token, and uses it after
// the user has. At most providers that ends the login, here as well; and nobody
// asks again.
func usedTwice(t *testing.T, s *site) string {
	s.start(t)
	b, l := s.signIn(t)
	s.untilExpiry(t, b)
	s.fetch(t, b, http.MethodGet, "/", http.StatusOK)
	calls := l.calls()
	if len(calls) != 1 {
		t.Fatalf("%d refreshes, want 1", len(calls))
	}
	if status := s.present(t, calls[0].sent.refresh); status == http.StatusOK {
		t.Fatal("the provider gives the thief tokens")
	}
	s.untilExpiry(t, b)
	if s.provider.quirks.keepsGrant {
		s.fetch(t, b, http.MethodGet, "/", http.StatusOK)
		return "the second use is refused, and the login lives on"
	}
	s.endsHere(t, b, l, 3)
	return pass
}

// present presents a refresh token to the provider, past the gateway.
func (s *site) present(t *testing.T, token string) int {
	t.Helper()
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.metadata(t).Token, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(s.client.ID, s.client.Secret)
	resp, err := s.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// metadata is what the provider tells of itself, as far as it matters here.
type metadata struct {
	Token         string `json:"token_endpoint"`
	Revocation    string `json:"revocation_endpoint"`
	EndSession    string `json:"end_session_endpoint"`
	Introspection string `json:"introspection_endpoint"`
	UserInfo      string `json:"userinfo_endpoint"`
	Pushed        string `json:"pushed_authorization_request_endpoint"`
}

func (s *site) metadata(t *testing.T) (m metadata) {
	t.Helper()
	resp, err := s.http.Get(strings.TrimSuffix(s.front.issuer, "/") + "/.well-known/openid-configuration")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&m); err != nil {
		t.Fatal(err)
	}
	return m
}

// endsHere checks what a login comes to that has ended at the provider, once
// its access token is over: one call, which is refused, and no more.
func (s *site) endsHere(t *testing.T, b *browser.Browser, l *grant, calls int) {
	t.Helper()
	page := s.fetch(t, b, http.MethodGet, "/", http.StatusUnauthorized)
	if challenge := page.Header.Get("WWW-Authenticate"); !strings.Contains(challenge, `error="invalid_token"`) {
		t.Errorf("the challenge is %q", challenge)
	}
	s.isSignedOut(t, b)
	s.fetch(t, b, http.MethodGet, "/", http.StatusUnauthorized)
	made := l.calls()
	if len(made) != calls {
		t.Fatalf("%d refreshes at the provider, want %d", len(made), calls)
	}
	if last := made[calls-1]; last.status/100 != 4 || last.errors == "" {
		t.Errorf("the last refresh is answered with %d %q, want a refusal", last.status, last.errors)
	}
}

// signsInAgain: a user signs in with a second browser. At most providers that
// is nothing to the first.
func signsInAgain(t *testing.T, s *site) string {
	s.start(t)
	first, l := s.signIn(t)
	second, _ := s.signIn(t)
	s.untilExpiry(t, second) // which began last
	s.fetch(t, second, http.MethodGet, "/", http.StatusOK)
	if s.provider.quirks.oneLogin {
		s.endsHere(t, first, l, 1)
		return "the second ends the first's login"
	}
	s.fetch(t, first, http.MethodGet, "/", http.StatusOK)
	return pass
}

// signsInOverIt: the same browser signs in once more, which at some providers
// is under the same grant: nothing that ends the login before may end the new
// one.
func signsInOverIt(t *testing.T, s *site) string {
	s.start(t)
	b, _ := s.signIn(t)
	before := s.cookieHeader(b)
	b.Login(t, s.url+"/auth/login?return_to=/notes", s.user)
	if s.cookieHeader(b) == before {
		t.Fatal("no second sign-in has happened")
	}
	s.untilExpiry(t, b)
	s.fetch(t, b, http.MethodGet, "/notes", http.StatusOK)
	return pass
}

// goodbye is where a browser comes to after its sign-out.
const goodbye = "/goodbye"

// signsOut: what the user left is dead here and at the provider, who is told by
// the ID token whose session it is, sends the browser back, and asks for the
// password at the next sign-in.
func signsOut(hint string) func(t *testing.T, s *site) string {
	return func(t *testing.T, s *site) string {
		s.start(t, "LOGOUT_HINT="+hint, "PUBLIC_PATHS="+goodbye)
		b, l := s.signIn(t)
		cookie, marker := s.cookieHeader(b), s.marker(t, b)
		told := s.metadata(t)
		page := b.Submit(t, b.Open(t, s.url+"/notes"), "/auth/logout?return_to="+goodbye, url.Values{})
		s.isSignedOut(t, b)
		if action, fields, ok := page.Form(); ok && fields.Get("id_token_hint") != "" {
			page = b.Submit(t, page, action, fields) // its script does that
		}
		if _, fields, ok := page.Form(); ok && fields.Get("xsrf") != "" {
			page = s.confirm(t, b, page)
		}
		var how []string
		switch at := page.URL.String(); {
		case told.EndSession == "":
			how = append(how, "it has no end session endpoint")
		case at != s.url+goodbye:
			how = append(how, fmt.Sprintf("the browser stays at the provider, with %d", page.Status))
		}

		s.fetch(t, b, http.MethodGet, "/", http.StatusUnauthorized)
		s.fetch(t, b, http.MethodPost, "/auth/refresh", http.StatusUnauthorized)
		s.isOver(t, cookie)
		if told.Revocation == "" {
			how = append(how, "it has no revocation endpoint")
		} else if s.present(t, l.code.issued.Refresh) == http.StatusOK {
			t.Error("the refresh token is still good at the provider")
		}
		if page = b.Open(t, s.url+"/notes"); !strings.Contains(string(page.Body), `name="password"`) {
			how = append(how, "the next sign-in asks for no password")
		}
		until(t, marker)
		s.isOver(t, cookie)
		if n := len(l.calls()); n > 1 || n == 1 && told.Revocation == "" {
			t.Errorf("%d refreshes at the provider, want none by the gateway", n)
		}
		if len(how) > 0 {
			return "the login ends here; " + strings.Join(how, "; ")
		}
		return pass
	}
}

// isOver checks that cookies that somebody has kept bring nothing back.
func (s *site) isOver(t *testing.T, cookie string) {
	t.Helper()
	a := s.call(t.Context(), s.addresses[0], "/", cookie)
	if a.err != nil || a.status != http.StatusUnauthorized {
		t.Errorf("the old cookies are answered with status %d (%v), want 401", a.status, a.err)
	}
	if got := a.marker(); got != "" && got != "0" {
		t.Error("the old cookies bring a login back")
	}
}

// confirm answers oidc-provider's question with yes.
func (s *site) confirm(t *testing.T, b *browser.Browser, page *browser.Page) *browser.Page {
	t.Helper()
	action, fields, ok := page.Form()
	if !ok || fields.Get("xsrf") == "" {
		t.Fatalf("the provider does not ask: %d %s", page.Status, page.Text())
	}
	fields.Set("logout", "yes")
	return b.Submit(t, page, action, fields)
}

// signsOutThere: who signs out at the provider, or at another site of its, is
// signed out here: the provider says so by itself.
func signsOutThere(env ...string) func(t *testing.T, s *site) string {
	return func(t *testing.T, s *site) string {
		s.start(t, env...)
		alice, _ := s.signIn(t)
		bob, _ := s.signInAs(t, scenarios()[0].id)
		page := alice.Open(t, s.metadata(t).EndSession)
		if s.provider.quirks.confirms {
			page = s.confirm(t, alice, page)
		}
		if page.Status/100 != 2 {
			t.Fatalf("the sign-out at the provider ends at %s with status %d: %s", page.URL, page.Status, page.Text())
		}
		// Some providers tell their clients after they have answered.
		eventually(t, "the login ends here", func() bool {
			page, err := alice.Fetch(http.MethodGet, s.url+"/notes", nil)
			return err == nil && page.Status == http.StatusUnauthorized
		})
		s.fetch(t, alice, http.MethodPost, "/auth/refresh", http.StatusUnauthorized)
		s.fetch(t, bob, http.MethodGet, "/notes", http.StatusOK)
		again, _ := s.signIn(t)
		s.fetch(t, again, http.MethodGet, "/notes", http.StatusOK)
		return pass
	}
}

func isRevoked(t *testing.T, s *site) string {
	s.start(t)
	b, l := s.signIn(t)
	s.server.revoke(t, s.user, s.client.ID)
	s.untilExpiry(t, b)
	s.endsHere(t, b, l, 1)
	return pass
}
