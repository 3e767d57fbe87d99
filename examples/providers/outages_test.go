package providers

import (
	"net/http"
	"testing"

	"github.com/tokenlife/tokenlife/cookies"
	"github.com/tokenlife/tokenlife/examples/internal/browser"
)

// rotates: the provider signs with a new key. Its tokens are good as soon as
// there is one, those of the old key as long as they live, and the user is not
// asked.
func rotates(t *testing.T, s *site) string {
	s.start(t, "JWKS_COOLDOWN=1s")
	b, l := s.signIn(t)
	before := keyID(t, l.code.issued.Access)
	s.server.rotate(t)
	s.untilExpiry(t, b)
	how := pass
	if s.provider.quirks.keepsKeyID {
		// A script is told, and a page leads over the sign-in, where the user is
		// known, to a token that is good. Nobody asks for another refresh.
		eventually(t, "a script is told", func() bool {
			page, err := b.Fetch(http.MethodGet, s.url+"/notes", nil)
			return err == nil && page.Status == http.StatusUnauthorized
		})
		if page := b.Open(t, s.url+"/notes"); page.Status != http.StatusOK || page.URL.String() != s.url+"/notes" {
			t.Errorf("a page ends at %s with status %d", page.URL, page.Status)
		}
		how = "refreshed tokens name the old key (ory/hydra#3573); pages go on over the sign-in, without a password"
	} else {
		s.fetch(t, b, http.MethodGet, "/", http.StatusOK)
	}
	calls := l.calls()
	if len(calls) != 1 {
		t.Fatalf("%d refreshes at the provider, want 1", len(calls))
	}
	if named := keyID(t, calls[0].issued.Access) == before; named != s.provider.quirks.keepsKeyID {
		t.Errorf("the refreshed token names the old key: %v", named)
	}
	other, l := s.signIn(t)
	if keyID(t, l.code.issued.Access) == before {
		t.Error("a new sign-in gets a token of the old key")
	}
	s.fetch(t, other, http.MethodGet, "/", http.StatusOK)
	return how
}

// comesBack: the provider is killed. Who is signed in stays so, and is served
// again when the provider is.
func comesBack(t *testing.T, s *site) string {
	s.start(t, "JWKS_COOLDOWN=1s")
	b, l := s.signIn(t)
	s.server.kill(t)
	s.untilExpiry(t, b)
	for range 2 {
		page := s.fetch(t, b, http.MethodGet, "/notes", http.StatusServiceUnavailable)
		if page.Header.Get("Retry-After") == "" {
			t.Error("503 without Retry-After")
		}
	}
	if _, ok := b.Cookie(s.url, "__Host-"+cookies.Refresh); !ok {
		t.Error("the outage has taken the refresh token's cookie")
	}
	s.server.restart(t)
	var page *browser.Page
	eventually(t, "the gateway goes on", func() (so bool) {
		var err error
		page, err = b.Fetch(http.MethodGet, s.url+"/notes", nil)
		return err == nil && page.Status != http.StatusServiceUnavailable
	})
	how := pass
	if s.provider.quirks.forgets {
		if page.Status != http.StatusUnauthorized {
			t.Errorf("status %d, want 401", page.Status)
		}
		s.isSignedOut(t, b)
		how = "kept while it is down; it forgets all logins as it ends"
	} else if page.Status != http.StatusOK {
		t.Errorf("after the restart the status is %d: %s", page.Status, page.Text())
	}
	if n := len(l.calls()); n != 1 {
		t.Errorf("%d refreshes at the provider, want 1", n)
	}
	other, _ := s.signIn(t)
	s.fetch(t, other, http.MethodGet, "/", http.StatusOK)
	return how
}
