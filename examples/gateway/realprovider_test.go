package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tokenlife/tokenlife/cookies"
	"github.com/tokenlife/tokenlife/examples/internal/guard/leak"
	"github.com/tokenlife/tokenlife/examples/internal/oidcprovider"
)

// TestWithARealProvider runs the gateway between browsers, a certified OpenID
// provider and an echo server. Time is real here: access tokens live 4 seconds.
func TestWithARealProvider(t *testing.T) {
	s := newSite(t)
	t.Run("users", func(t *testing.T) { // ends when all of them are done
		t.Run("a login lives on past three expiries, with one refresh each", s.livesOn)
		t.Run("a login that a thief uses ends, at the provider and here", s.endsOnReuse)
		t.Run("signing out revokes the refresh token and is final", s.signsOut)
	})

	for _, e := range s.provider.Events(t) {
		if e.Reuse() && e.Subject != "carol" {
			t.Errorf("the provider saw a refresh token of %s twice", e.Subject)
		}
	}
	s.staysSilent(t)
}

// livesOn: fifty calls come at once with the cookies of an expired token; all
// succeed, and so does one that comes later with the same old cookies.
func (s *site) livesOn(t *testing.T) {
	t.Parallel()
	alice := s.signIn(t, "/notes?page=2", "alice")
	for round := range 3 {
		old, marker := s.cookieHeader(alice), s.marker(t, alice)
		s.untilExpiry(t, marker)
		if _, ok := alice.Cookie(s.url, cookies.Life); ok {
			t.Errorf("round %d: the marker outlives the access token", round)
		}

		answers := make([]answer, 50)
		var wg sync.WaitGroup
		for i := range answers {
			wg.Go(func() { answers[i] = s.call(fmt.Sprintf("/notes/%d", i), old) })
		}
		wg.Wait()
		late := s.call("/notes/late", old)

		refreshes := s.events(t, "alice", oidcprovider.Event.Refresh)
		if len(refreshes) != round+1 {
			t.Fatalf("round %d: %d refreshes at the provider so far, want %d", round, len(refreshes), round+1)
		}
		newest := refreshes[round].Issued.Access
		for i, a := range append(answers, late) {
			switch {
			case a.err != nil:
				t.Errorf("round %d, call %d: %v", round, i, a.err)
			case a.status != http.StatusOK:
				t.Errorf("round %d, call %d: status %d", round, i, a.status)
			case a.bearer != newest:
				t.Errorf("round %d, call %d: the upstream did not get the newest access token", round, i)
			case a.marker() == "" || a.marker() == marker || a.marker() != answers[0].marker():
				t.Errorf("round %d, call %d: the answer brings another marker than the first, or none", round, i)
			case a.header.Get("Cache-Control") != "private, no-store":
				t.Errorf("round %d, call %d: Cache-Control is %q", round, i, a.header.Get("Cache-Control"))
			}
		}
		s.fetch(t, alice, http.MethodGet, "/notes", http.StatusOK)
		if got := s.marker(t, alice); got != answers[0].marker() {
			t.Errorf("round %d: the browser, coming last, is not given the same tokens", round)
		}
	}
	if n := len(s.events(t, "alice", oidcprovider.Event.Refresh)); n != 3 {
		t.Errorf("%d refreshes at the provider in all, want 3", n)
	}

	page := s.fetch(t, alice, http.MethodGet, "/auth/session", http.StatusOK)
	var session struct {
		Authenticated bool   `json:"authenticated"`
		Subject       string `json:"subject"`
	}
	if err := json.Unmarshal(page.Body, &session); err != nil || !session.Authenticated || session.Subject != "alice" {
		t.Errorf("the session is %s", page.Text())
	}
}

// endsOnReuse: somebody else has got hold of a refresh token and uses it after
// the user has. The provider ends the grant, so the user is signed out at the
// next expiry, and nobody asks again.
func (s *site) endsOnReuse(t *testing.T) {
	t.Parallel()
	carol := s.signIn(t, "/", "carol")
	stolen := s.events(t, "carol", granted)[0].Issued.Refresh
	s.untilExpiry(t, s.marker(t, carol))
	s.fetch(t, carol, http.MethodGet, "/", http.StatusOK)
	if n := len(s.events(t, "carol", oidcprovider.Event.Refresh)); n != 1 {
		t.Fatalf("%d refreshes, want 1", n)
	}

	if status := s.refreshDirectly(t, stolen); status != http.StatusBadRequest {
		t.Fatalf("the provider answers the thief with status %d, want 400", status)
	}
	ended := func(e oidcprovider.Event) bool { return e.Kind == oidcprovider.Ended }
	if n := len(s.events(t, "carol", ended)); n != 1 {
		t.Fatalf("the provider ended %d grants, want 1", n)
	}

	s.untilExpiry(t, s.marker(t, carol))
	page := s.fetch(t, carol, http.MethodGet, "/", http.StatusUnauthorized)
	if challenge := page.Header.Get("WWW-Authenticate"); !strings.Contains(challenge, `error="invalid_token"`) {
		t.Errorf("the challenge is %q", challenge)
	}
	s.isSignedOut(t, carol)
	page = carol.Open(t, s.url+"/")
	if !strings.HasPrefix(s.provider.Issuer, "http://"+page.URL.Host) {
		t.Errorf("a navigation ends at %s with status %d, want the provider's login page", page.URL.Host, page.Status)
	}
	refused := s.events(t, "", func(e oidcprovider.Event) bool { return e.Kind == oidcprovider.Refused })
	last := s.events(t, "carol", granted)[1].Issued.Refresh
	of := func(e oidcprovider.Event) bool { return e.Presented.Refresh == last }
	if n := len(slices.DeleteFunc(refused, func(e oidcprovider.Event) bool { return !of(e) })); n != 1 {
		t.Errorf("the ended login was presented %d times, want once", n)
	}
}

// signsOut: after the logout the refresh token is dead at the provider, and
// cookies that somebody kept bring nothing back.
func (s *site) signsOut(t *testing.T) {
	t.Parallel()
	dave := s.signIn(t, "/", "dave")
	kept, marker := s.cookieHeader(dave), s.marker(t, dave)
	token := s.events(t, "dave", granted)[0].Issued.Refresh

	s.fetch(t, dave, http.MethodPost, "/auth/logout", http.StatusNoContent)
	s.isSignedOut(t, dave)
	revoked := s.events(t, "dave", func(e oidcprovider.Event) bool { return e.Kind == oidcprovider.Revoked })
	if len(revoked) != 1 || revoked[0].Presented.Refresh != token {
		t.Errorf("the provider saw %d revocations, want that of the refresh token alone", len(revoked))
	}
	if status := s.refreshDirectly(t, token); status != http.StatusBadRequest {
		t.Errorf("the provider answers the revoked token with status %d, want 400", status)
	}
	s.fetch(t, dave, http.MethodGet, "/", http.StatusUnauthorized)
	s.fetch(t, dave, http.MethodPost, "/auth/refresh", http.StatusUnauthorized)

	s.untilExpiry(t, marker)
	a := s.call("/", kept)
	if a.err != nil || a.status != http.StatusUnauthorized {
		t.Errorf("the old cookies are answered with status %d (%v), want 401", a.status, a.err)
	}
	if got := a.marker(); got != "" && got != "0" {
		t.Error("the old cookies bring a login back")
	}
}

// staysSilent ends the gateway and looks for secrets in all that it wrote.
func (s *site) staysSilent(t *testing.T) {
	output := s.gateway.Stop(t)
	if len(output) == 0 {
		t.Error("the gateway wrote nothing, at log level debug")
	}
	secrets := map[string][]string{
		"the client secret": {s.provider.Config.ClientSecret},
		"the cookie key":    {cookieKey},
	}
	for _, e := range s.provider.Events(t) {
		secrets["a token, code or verifier"] = append(secrets["a token, code or verifier"], e.Secrets()...)
	}
	for name, values := range s.seen() {
		if name != cookies.Life {
			secrets["cookie "+name] = values
		}
	}
	if n := len(secrets["a token, code or verifier"]); n < 30 {
		t.Errorf("only %d secrets to look for: the search shows nothing", n)
	}
	for _, name := range leak.Find(t, output, secrets) {
		t.Errorf("the gateway's output contains %s, or 12 characters of it", name)
	}
}
