package providers

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/cookies"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// The names of those rows that not all providers offer.
const (
	signOutThere = "signing out at the provider ends the login here, by the back channel"
	byPreset     = "sign-in and a refresh, by its preset"
	introspected = "opaque access tokens, by introspection"
	whose        = "opaque access tokens, by userinfo"
	kept         = "the same, with the logins on the server"
	pushed       = "pushed authorization requests"
	ownKey       = "private_key_jwt"
)

// scenarios are the table's rows, in its order.
func scenarios() []scenario {
	return []scenario{
		{name: "sign-in", id: "signin", gateways: 1, run: signsIn},
		{name: byPreset, id: "preset", gateways: 1, settings: withOpaqueTokens, run: signsInByPreset},
		{name: "three expiries, 30 requests at once at each: one token call each", id: "expiries", gateways: 1, run: livesOn},
		{name: "the browser hangs up during a refresh", id: "hangup", gateways: 1, run: hangsUp},
		{name: "two gateways on one Redis, 30 requests at once: one token call", id: "redis", gateways: 2, run: sharesRedis},
		{name: "a user's second browser", id: "second", gateways: 1, run: signsInAgain},
		{name: "signing in once more in the same browser", id: "over", gateways: 1, run: signsInOverIt},
		{name: "a refresh token that is used twice ends its login", id: "twice", gateways: 1, run: usedTwice},
		{name: "sign-out, with the ID token in a form: the session at the provider ends too", id: "outform", gateways: 1, run: signsOut("post")},
		{name: "sign-out, with the ID token in the URL: the same", id: "outurl", gateways: 1, run: signsOut("url")},
		{name: signOutThere, id: "there", gateways: 1, run: signsOutThere()},
		{name: kept, id: "kept", gateways: 1, run: signsOutThere("SESSIONS=server")},
		{name: "an administrator revokes the login", id: "revoked", gateways: 1, run: isRevoked},
		{name: introspected, id: "opaque", gateways: 1, settings: withOpaqueTokens, run: introspects},
		{name: whose, id: "whose", gateways: 1, settings: withOpaqueTokens, run: asksWhose},
		{name: "the ID token in place of the access token", id: "idtoken", gateways: 1, run: takesIDTokens},
		{name: pushed, id: "pushed", gateways: 1, settings: withPushes, run: pushes},
		{name: ownKey, id: "ownkey", gateways: 1, settings: withOwnKey, run: signsAssertions},
		{name: "the keys are rotated", id: "rotated", gateways: 1, alone: true, run: rotates},
		{name: "the provider is killed, and comes back", id: "killed", gateways: 1, alone: true, run: comesBack},
	}
}

func signsIn(t *testing.T, s *site) string {
	s.start(t)
	b, l := s.signIn(t)
	page := s.fetch(t, b, http.MethodGet, "/auth/session", http.StatusOK)
	var session struct {
		Authenticated bool   `json:"authenticated"`
		Subject       string `json:"subject"`
		ExpiresIn     int    `json:"expires_in"`
	}
	if err := json.Unmarshal(page.Body, &session); err != nil || !session.Authenticated || session.Subject == "" {
		t.Errorf("the session is %s", page.Text())
	}
	if most := int(accessLife / time.Second); session.ExpiresIn > most {
		t.Errorf("the session ends in %d s, want %d at most", session.ExpiresIn, most)
	}
	if n := len(l.calls()); n != 0 {
		t.Errorf("%d refreshes, want none", n)
	}
	return pass
}

// signsInByPreset: who is asked what a token is, and for which scopes, comes
// from the provider's preset.
func signsInByPreset(t *testing.T, s *site) string {
	s.start(t, "PROVIDER="+s.provider.id, "AUDIENCE=", "SCOPES=", "REMEMBER="+remembered.String())
	s.livesOnce(t, accessToken, remembered+later)
	return pass
}

// atOnce sends 30 requests with the same cookies, to the gateways in turn.
func (s *site) atOnce(t *testing.T, cookie string) []answer {
	answers := make([]answer, 30)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() {
			answers[i] = s.call(t.Context(), s.addresses[i%len(s.addresses)], fmt.Sprintf("/notes/%d", i), cookie)
		})
	}
	wg.Wait()
	return answers
}

// areOf checks that the answers are all those of one call, with its token and
// one marker that is another than the one before.
func areOf(t *testing.T, answers []answer, newest, before string) {
	t.Helper()
	for i, a := range answers {
		switch {
		case a.err != nil:
			t.Errorf("request %d: %v", i, a.err)
		case a.status != http.StatusOK:
			t.Errorf("request %d: status %d", i, a.status)
		case a.bearer != newest:
			t.Errorf("request %d: the upstream did not get the newest token", i)
		case a.marker() == "" || a.marker() == before || a.marker() != answers[0].marker():
			t.Errorf("request %d: the answer brings another marker than the first, or none", i)
		case a.header.Get("Cache-Control") != "private, no-store":
			t.Errorf("request %d: Cache-Control is %q", i, a.header.Get("Cache-Control"))
		}
	}
}

// livesOn: all requests with the cookies of an expired token succeed, and so
// does one that comes later with the same old cookies.
func livesOn(t *testing.T, s *site) string {
	s.start(t)
	b, l := s.signIn(t)
	for round := range 3 {
		cookie, marker := s.untilExpiry(t, b)
		if _, ok := b.Cookie(s.url, cookies.Life); ok {
			t.Errorf("round %d: the marker outlives the access token", round)
		}
		answers := append(s.atOnce(t, cookie), s.call(t.Context(), s.addresses[0], "/notes/late", cookie))
		calls := l.calls()
		if len(calls) != round+1 {
			t.Fatalf("round %d: %d refreshes at the provider so far, want %d", round, len(calls), round+1)
		}
		areOf(t, answers, calls[round].issued.Access, marker)
		s.fetch(t, b, http.MethodGet, "/notes", http.StatusOK)
		if got := s.marker(t, b); got != answers[0].marker() {
			t.Errorf("round %d: the browser, coming last, is not given the same tokens", round)
		}
	}
	if n := len(l.calls()); n != 3 {
		t.Errorf("%d refreshes at the provider in all, want 3", n)
	}
	return pass
}

// hangsUp: the one who asked has gone when the provider answers. Who comes back
// with the old cookies gets what it answered.
func hangsUp(t *testing.T, s *site) string {
	s.start(t)
	b, l := s.signIn(t)
	cookie, marker := s.untilExpiry(t, b)
	held := l.hold()
	release := sync.OnceFunc(func() { close(held.release) })
	defer release()
	ctx, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	gone := make(chan answer, 1)
	go func() { gone <- s.call(ctx, s.addresses[0], "/notes/gone", cookie) }()
	select {
	case <-held.reached:
	case <-time.After(20 * time.Second):
		t.Fatal("the provider is not asked")
	}
	hangUp()
	if a := <-gone; a.err == nil {
		t.Fatalf("the request that was hung up on is answered with status %d", a.status)
	}
	release()
	back := s.call(t.Context(), s.addresses[0], "/notes/back", cookie)
	calls := l.calls()
	if len(calls) != 1 {
		t.Fatalf("%d refreshes at the provider, want 1", len(calls))
	}
	areOf(t, []answer{back}, calls[0].issued.Access, marker)
	return pass
}

func sharesRedis(t *testing.T, s *site) string {
	redis := refreshtest.StartRedis(t)
	for range s.addresses {
		s.start(t, "STORE=redis://"+redis.Addr)
	}
	b, l := s.signIn(t)
	cookie, marker := s.untilExpiry(t, b)
	answers := s.atOnce(t, cookie)
	calls := l.calls()
	if len(calls) != 1 {
		t.Fatalf("%d refreshes at the provider, want 1", len(calls))
	}
	areOf(t, answers, calls[0].issued.Access, marker)
	return pass
}
