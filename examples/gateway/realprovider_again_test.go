package main_test

import (
	"net/http"
	"testing"
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
