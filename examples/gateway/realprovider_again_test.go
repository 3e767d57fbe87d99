package main_test

import (
	"net/http"
	"net/url"
	"regexp"
	"testing"

	"github.com/tokenlife/tokenlife/examples/internal/oidcprovider"
)

// Who signs in once more gets a login under the same grant: the provider must
// not be told that the one before is over.
func TestAtARealProviderSigningInAgainKeepsTheNewLogin(t *testing.T) {
	s := newSite(t)
	alice := s.signIn(t, "/notes", "alice")
	first := s.cookieHeader(alice)
	alice.Login(t, s.url+"/auth/login?return_to=/notes", "alice")
	if s.cookieHeader(alice) == first {
		t.Fatal("no second sign-in has happened")
	}
	s.untilExpiry(t, s.marker(t, alice))
	page, err := alice.Fetch(http.MethodGet, s.url+"/notes", nil)
	if err != nil {
		t.Fatal(err)
	}
	if page.Status != http.StatusOK {
		t.Errorf("at the first expiry after the second sign-in: %d %s", page.Status, page.Text())
	}
}

// Who signs out at the provider, or at another site of its, is signed out here:
// the provider says so by itself.
func TestAtARealProviderSigningOutThereEndsTheLoginHere(t *testing.T) {
	for _, where := range []string{"cookie", "server"} {
		t.Run("logins kept in "+where, func(t *testing.T) {
			s := newSite(t, "SESSIONS="+where)
			alice, bob := s.signIn(t, "/notes", "alice"), s.signIn(t, "/notes", "bob")
			page := alice.Open(t, s.provider.Issuer+"/session/end")
			xsrf := regexp.MustCompile(`name="xsrf" value="([^"]+)"`).FindSubmatch(page.Body)
			if xsrf == nil {
				t.Fatalf("the provider does not ask: %d %s", page.Status, page.Text())
			}
			alice.Submit(t, page, s.provider.Issuer+"/session/end/confirm", url.Values{"xsrf": {string(xsrf[1])}, "logout": {"yes"}})
			told := s.events(t, "alice", func(e oidcprovider.Event) bool { return e.Kind == oidcprovider.ToldOfLogout })
			if len(told) != 1 {
				t.Fatalf("the gateway has taken %d logouts", len(told))
			}
			s.fetch(t, alice, http.MethodGet, "/notes", http.StatusUnauthorized)
			s.fetch(t, alice, http.MethodPost, "/auth/refresh", http.StatusUnauthorized)
			s.fetch(t, bob, http.MethodGet, "/notes", http.StatusOK)
		})
	}
}
