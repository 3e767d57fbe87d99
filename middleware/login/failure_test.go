package login_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/tokenlife/tokenlife/middleware/login"
	"github.com/tokenlife/tokenlife/refresh/event"
)

// deny makes the callback of an attempt one with an error of the provider.
func deny(back *url.URL, code, description string) string {
	q := url.Values{"state": {back.Query().Get("state")}, "iss": {back.Query().Get("iss")}, "error": {code}}
	if description != "" {
		q.Set("error_description", description)
	}
	return "/callback?" + q.Encode()
}

func TestTheProvidersDescriptionIsForTheLogAlone(t *testing.T) {
	for _, test := range []struct{ name, sent, want string }{
		{"none", "", ""},
		{"of Entra ID", "AADSTS50105: The signed in user 'ann' is not assigned to a role.\r\nTrace ID: 7d2e", "AADSTS50105: The signed in user 'ann' is not assigned to a role. Trace ID: 7d2e"},
		{"of Keycloak", "authentication_expired", "authentication_expired"},
		{"in another language", "Anmeldung für „shop“ abgelehnt", "Anmeldung für „shop“ abgelehnt"},
		{"an escape sequence for a terminal", "\x1b[31mred\x1b[0m", "[31mred[0m"},
		{"a line of its own in the log", "x\nlevel=ERROR msg=forged", "x level=ERROR msg=forged"},
		{"right to left", "abc\u202edef", "abcdef"},
		{"not UTF-8", "a\xff\xfeb", "ab"},
		{"a code or a token, such as one of a JWT", "the code " + strings.Repeat("aB3-_.", 20) + " is over", "the code … is over"},
		{"spaces alone", " \t \n ", ""},
		{"without end", strings.Repeat("word ", 2000), strings.Repeat("word ", 59) + "word…"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, b := newSite(t), newBrowser()
				resp := b.open(s, s.callback, deny(b.begin(t, s, "/"), "server_error", test.sent))
				if resp.StatusCode != http.StatusBadGateway {
					t.Errorf("status %d", resp.StatusCode)
				}
				told := s.failures()[0]
				failure, ok := errors.AsType[*login.Failure](told.Err)
				if !ok {
					t.Fatalf("the error is %v", told.Err)
				}
				want := strings.TrimSpace(test.want)
				if failure.Description != want || !utf8.ValidString(failure.Description) {
					t.Errorf("described as %q, want %q", failure.Description, want)
				}
				if got := told.LogValue().String(); want != "" && !strings.Contains(got, want) {
					t.Errorf("the log has %s", got)
				}
				// The recorder of the site has the event's error on a line of its own,
				// and then the page.
				_, page, _ := strings.Cut(s.output.String(), "<!doctype")
				if len(want) > 3 && strings.Contains(page, want[:4]) {
					t.Error("the user is shown the description")
				}
				s.silent(t)
			})
		})
	}
}

// A provider that repeats what it was sent must not bring it into the log.
func TestADescriptionWithTheSecretsOfTheAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := newSite(t), newBrowser()
		back := b.begin(t, s, "/")
		state := back.Query().Get("state")
		for _, description := range []string{
			"state " + state, strings.ToLower(state), "state=" + state, "(" + state + ")", "state:'" + state + "'", state + "," + state, "nonce/" + state,
			"the half of it: " + state[:20],
		} {
			b := b.copy()
			b.open(s, s.callback, deny(back, "server_error", description))
		}
		s.silent(t)
	})
}

func TestErrorsThatTheUserHasCaused(t *testing.T) {
	for code, text := range map[string]string{
		"access_denied":                      "cancelled",
		"user_cancelled_authorize":           "cancelled", // Apple, LinkedIn
		"user_cancelled_login":               "cancelled", // LinkedIn
		"unmet_authentication_requirements":  "once more",
		"interaction_required":               "once more",
		"insufficient_user_authentication":   "could not be used", // of RFC 9470, which is for resources
		"user_cancelled_something_else_here": "could not be used",
	} {
		t.Run(code, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, b := newSite(t), newBrowser()
				resp := b.open(s, s.callback, deny(b.begin(t, s, "/"), code, ""))
				if !strings.Contains(s.output.String(), text) {
					t.Errorf("status %d, and the page does not say %q", resp.StatusCode, text)
				}
			})
		})
	}
}

// A provider whose user has signed in in another tab may answer that this
// sign-in cannot go on: Keycloak does.
func TestWhoHasSignedInInAnotherTabGoesOn(t *testing.T) {
	for _, test := range []struct {
		name, code string
		signedIn   bool
		wait       time.Duration
		want       int
		to         string
	}{
		{"signed in meanwhile", "temporarily_unavailable", true, 0, http.StatusSeeOther, "/cart?item=1"},
		{"not signed in", "temporarily_unavailable", false, 0, http.StatusServiceUnavailable, ""},
		{"a fault of the provider", "server_error", true, 0, http.StatusSeeOther, "/cart?item=1"},
		{"an error that nobody has registered", "authentication_expired", true, 0, http.StatusSeeOther, "/cart?item=1"},
		{"the user has cancelled this one", "access_denied", true, 0, http.StatusForbidden, ""},
		{"the provider wants the user", "login_required", true, 0, http.StatusForbidden, ""},
		{"after a refresh of the login", "temporarily_unavailable", true, 6 * time.Minute, http.StatusSeeOther, "/cart?item=1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, b := newSite(t), newBrowser()
				back := b.begin(t, s, "/cart?item=1")
				if test.signedIn {
					b.signIn(t, s)
				}
				time.Sleep(test.wait)
				resp := b.open(s, s.callback, deny(back, test.code, ""))
				if resp.StatusCode != test.want || resp.Header.Get("Location") != test.to {
					t.Errorf("status %d to %q, want %d to %q", resp.StatusCode, resp.Header.Get("Location"), test.want, test.to)
				}
				if b.signedIn() != test.signedIn || len(b.attempts()) != 0 {
					t.Errorf("signed in: %v, attempts: %d", b.signedIn(), len(b.attempts()))
				}
				private(t, resp)
				if told := s.failures(); len(told) != 1 || told[0].Kind != event.SignInFailed {
					t.Errorf("%d failures are told", len(told))
				}
			})
		})
	}
}

// An attempt that has been used, whose cookie is still there, leads to where it
// was to lead.
func TestAnAnsweredAttemptOfASignedInUserLeadsToItsPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := newSite(t), newBrowser()
		back := b.begin(t, s, "/cart")
		kept := b.copy()
		b.open(s, s.callback, back.String())
		for name, value := range b.cookies {
			kept.cookies[name] = value
		}
		resp := kept.open(s, s.callback, back.String())
		if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/cart" {
			t.Errorf("status %d to %q", resp.StatusCode, resp.Header.Get("Location"))
		}
	})
}
