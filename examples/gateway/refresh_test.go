package main

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/cookies"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

func TestAThousandRequestsAreOneRefresh(t *testing.T) {
	for _, test := range []struct {
		name   string
		spread time.Duration
	}{
		{"at once", 0},
		{"spread over 100 ms", 100 * time.Millisecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSite(t, map[string]string{"REFRESH_TIMEOUT": "20s"})
			s.provider.SetDelay(30 * time.Millisecond)
			old := s.expired(t, "alice")
			answers := make([]answer, 1000)
			var wg sync.WaitGroup
			for i := range answers {
				wg.Go(func() {
					<-time.After(test.spread * time.Duration(i) / time.Duration(len(answers)))
					var err error
					if answers[i], err = s.try(t.Context(), http.MethodGet, "/", old); err != nil {
						t.Errorf("request %d: %v", i, err)
					}
				})
			}
			wg.Wait()
			if stats := s.provider.Stats(); stats.Calls != 1 || stats.Reused != 0 {
				t.Errorf("the provider saw %d calls and %d reuses, want 1 and none", stats.Calls, stats.Reused)
			}
			marker, tokens := answers[0].cookie(cookies.Life), s.tokens(t, answers[0])
			for i, a := range answers {
				if a.status != http.StatusOK || a.cookie("__Host-accessToken") == "" || a.cookie(cookies.Life) != marker || marker == "" {
					t.Fatalf("request %d: status %d, marker %q, want 200 and %q", i, a.status, a.cookie(cookies.Life), marker)
				}
				// They are sealed anew each time, and hold the same.
				if got := s.tokens(t, a); got.Access == "" || got.Refresh == "" || got != tokens {
					t.Fatalf("request %d: the cookies are those of other tokens", i)
				}
				if got := a.header.Get("Cache-Control"); got != "private, no-store" {
					t.Fatalf("request %d: Cache-Control is %q", i, got)
				}
			}
			for _, a := range answers[:10] {
				if a := s.do(t, http.MethodGet, "/", header(a.set)); a.status != http.StatusOK || len(a.set) != 0 {
					t.Errorf("the new cookies are answered with %d", a.status)
				}
			}
		})
	}
}

func TestAClientThatHangsUpLosesNothing(t *testing.T) {
	s := newSite(t, nil)
	s.provider.SetDelay(300 * time.Millisecond)
	old := s.expired(t, "alice")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cut := make(chan error, 1)
	go func() {
		_, err := s.try(ctx, http.MethodGet, "/", old)
		cut <- err
	}()
	eventually(t, "the provider is asked", func() bool { return s.provider.Stats().Calls == 1 })
	cancel()
	if err := <-cut; err == nil {
		t.Fatal("the request was to be cut off")
	}
	for _, when := range []string{"at once", "when the refresh has long ended"} {
		a := s.do(t, http.MethodGet, "/", old)
		if a.status != http.StatusOK || a.cookie("__Host-refreshToken") == "" {
			t.Errorf("%s: status %d", when, a.status)
		}
	}
	if n := s.provider.Stats().Calls; n != 1 {
		t.Errorf("the provider saw %d calls", n)
	}
}

func TestAProviderThatIsDownSignsNobodyOut(t *testing.T) {
	for _, test := range []struct {
		name  string
		fault refreshtest.Fault
	}{
		{"500", refreshtest.ServerError},
		{"503", refreshtest.Unavailable},
		{"429", refreshtest.Overloaded},
		{"reset", refreshtest.Reset},
		{"no answer", refreshtest.Hang},
		{"garbage", refreshtest.Garbage},
		{"a wrong client secret", refreshtest.InvalidClient},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSite(t, map[string]string{"REFRESH_TIMEOUT": "500ms"})
			valid, old := s.signIn(t), s.expired(t, "bob")
			s.provider.Fail(test.fault, -1)
			a := s.do(t, http.MethodGet, "/", old)
			if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" || len(a.set) != 0 {
				t.Errorf("expired: status %d, Retry-After %q, %d cookies", a.status, a.header.Get("Retry-After"), len(a.set))
			}
			if a := s.do(t, http.MethodPost, "/auth/refresh", old); a.status != http.StatusServiceUnavailable || len(a.set) != 0 {
				t.Errorf("asked for a refresh: status %d, %d cookies", a.status, len(a.set))
			}
			if a := s.do(t, http.MethodGet, "/", valid); a.status != http.StatusOK {
				t.Errorf("valid: status %d", a.status)
			}
			if !s.lines.has("INFO", "refresh_failed") {
				t.Error("the log does not tell")
			}
			s.provider.Fail(refreshtest.None, 0)
			eventually(t, "the login goes on", func() bool {
				a := s.do(t, http.MethodGet, "/", old)
				return a.status == http.StatusOK && a.cookie("__Host-accessToken") != ""
			})
		})
	}
}

func TestARefusedRefreshSignsOut(t *testing.T) {
	s := newSite(t, nil)
	old := s.expired(t, "alice")
	s.provider.End("alice")
	a := s.do(t, http.MethodGet, "/", old)
	if a.status != http.StatusUnauthorized || !strings.Contains(a.header.Get("WWW-Authenticate"), `error="invalid_token"`) {
		t.Errorf("status %d, challenge %q", a.status, a.header.Get("WWW-Authenticate"))
	}
	if a.cookie(cookies.Life) != "0" {
		t.Errorf("the marker is %q, want 0", a.cookie(cookies.Life))
	}
	a = s.do(t, http.MethodGet, "/page?x=1", old, "Sec-Fetch-Mode", "navigate")
	if want := "/auth/login?return_to=%2Fpage%3Fx%3D1"; a.status != http.StatusFound || a.location() != want {
		t.Errorf("a page: status %d to %q, want %q", a.status, a.location(), want)
	}
	if !s.lines.has("INFO", "ended") {
		t.Error("the log does not tell")
	}
}

func TestTheTokensOfAnotherAreRefusedAndReported(t *testing.T) {
	s := newSite(t, nil)
	old := s.expired(t, "alice")
	s.provider.Fail(refreshtest.OtherSubject, 1)
	a := s.do(t, http.MethodGet, "/", old)
	if a.status != http.StatusUnauthorized || a.cookie("__Host-accessToken") != "" {
		t.Errorf("status %d", a.status)
	}
	if s.lastSeen() != nil {
		t.Error("the upstream was asked")
	}
	if !s.lines.has("ERROR", "other_subject") {
		t.Error("the log does not tell")
	}
}

func TestAheadAndLeewayOfNothing(t *testing.T) {
	s := newSite(t, map[string]string{"AHEAD": "0s", "LEEWAY": "0s", "GRACE": "0s", "KEEP": "0s"})
	cookie := s.signIn(t)
	if a := s.do(t, http.MethodGet, "/", cookie); a.status != http.StatusOK || len(a.set) != 0 {
		t.Errorf("status %d, %d cookies", a.status, len(a.set))
	}
	if a := s.do(t, http.MethodGet, "/", s.expired(t, "bob")); a.status != http.StatusOK {
		t.Errorf("expired: status %d", a.status)
	}
}
