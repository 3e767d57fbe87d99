package recipes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/cookies"
	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/middlewaretest"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/event"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
	"github.com/tokenlife/tokenlife/refresh/sessions"
)

func Example_watchingLogins() {
	provider := new(middlewaretest.Provider)
	defer provider.Close()
	tokens, client := provider, provider
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: withoutTimes}))

	auth := &middleware.Auth{
		Verifier:  tokens,
		Refresher: client,
		Observe:   event.Log(logger),
	}

	defer auth.Close()
	provider.Endpoint.End("ann") // an administrator, at the provider
	login := provider.Login(expired("ann"))
	provider.Endpoint.End("ann")
	r := httptest.NewRequest("GET", "/", nil)
	middlewaretest.SignIn(auth, r, login)
	serve(auth.Require(http.HandlerFunc(hello)), r)
	// Output:
	// level=INFO msg=provider_called outcome=denied waiters=1 error="middlewaretest: refresh: the provider refused with status 400, invalid_grant" description="The grant is unknown, expired or revoked."
	// level=INFO msg=ended cause=expired error="middlewaretest: refresh: the provider refused with status 400, invalid_grant" description="The grant is unknown, expired or revoked." issuer=https://provider.test subject=ann
	// level=DEBUG msg=refused reason=login_over error="middleware: refused with 401: middlewaretest: refresh: the provider refused with status 400, invalid_grant" description="The grant is unknown, expired or revoked."
}

// withoutTimes takes out what differs from run to run.
func withoutTimes(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey || a.Key == "took_ms" {
		return slog.Attr{}
	}
	return a
}

// A report is what the events say of one unexpected sign-out.
type report struct {
	mu     sync.Mutex
	events []event.Event
}

func (r *report) note(_ context.Context, e event.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

func (r *report) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	for _, e := range r.events {
		if e.Outcome != "" {
			fmt.Fprintf(&b, "%s outcome=%s\n", e.Kind, e.Outcome)
			continue
		}
		fmt.Fprintf(&b, "%s cause=%s reason=%s: %v\n", e.Kind, e.Cause, e.Reason, e.Err)
	}
	return b.String()
}

// watched returns an Auth for p of which report hears.
func (r *report) watched(p *middlewaretest.Provider) *middleware.Auth {
	return &middleware.Auth{
		Verifier:  p,
		Refresher: &refresh.Coordinator{Refresher: p},
		Observe:   r.note,
	}
}

// The table of the README's chapter on unexpected sign-outs: what is done to a
// login, and what the events say of it.
func TestWhatTheEventsSayOfAnUnexpectedSignOut(t *testing.T) {
	ring := func(b byte) *cookies.KeyRing {
		k, err := cookies.NewKeyRing(bytes.Repeat([]byte{b}, 32))
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	get := func() *http.Request { return httptest.NewRequest("GET", "https://app.test/", nil) }
	ended := func(p *middlewaretest.Provider, a *middleware.Auth) *http.Request {
		return returning(a, p, "ann", "GET", "https://app.test/")
	}
	tests := []struct {
		name string
		do   func(*testing.T, *middlewaretest.Provider, *report)
		want []string // lines of the report, in part
	}{
		{"the provider has ended the login", func(_ *testing.T, p *middlewaretest.Provider, rep *report) {
			a := rep.watched(p)
			r := ended(p, a)
			p.Endpoint.End("ann")
			serve(a.Require(http.HandlerFunc(hello)), r)
		}, []string{"ended", "invalid_grant", "refused cause= reason=login_over", "provider_called outcome=denied"}},
		{"somebody else has used the refresh token", func(t *testing.T, p *middlewaretest.Provider, rep *report) {
			a := rep.watched(p)
			r := ended(p, a)
			old, err := a.Cookies.Read(r)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.Refresh(t.Context(), old); err != nil {
				t.Fatal(err)
			}
			serve(a.Require(http.HandlerFunc(hello)), r)
			if p.Endpoint.Stats().Reused != 1 {
				t.Error("the provider has seen no reuse")
			}
		}, []string{"ended", "invalid_grant", "refused cause= reason=login_over", "provider_called outcome=denied"}},
		{"a strict provider's answer is lost", func(t *testing.T, p *middlewaretest.Provider, rep *report) {
			a := rep.watched(p)
			r := ended(p, a)
			p.Endpoint.Fail(refreshtest.LostAnswer, 1)
			if w := serve(a.Require(http.HandlerFunc(hello)), r); w.Code != 401 {
				t.Errorf("answered %d", w.Code)
			}
		}, []string{"provider_called outcome=no_answer", "provider_called outcome=denied", "ended"}},
		{"the provider is down", func(_ *testing.T, p *middlewaretest.Provider, rep *report) {
			a := rep.watched(p)
			r := ended(p, a)
			p.Endpoint.Fail(refreshtest.Unavailable, -1)
			serve(a.Require(http.HandlerFunc(hello)), r)
		}, []string{"refresh_failed", "refused cause= reason=unavailable", "provider_called outcome=failed"}},
		{"a replica has other keys", func(_ *testing.T, p *middlewaretest.Provider, rep *report) {
			a, b := rep.watched(p), rep.watched(p)
			a.Cookies.Keys, b.Cookies.Keys = ring(1), ring(2)
			serve(b.Require(http.HandlerFunc(hello)), ended(p, a))
		}, []string{"refused cause= reason=no_token", "__Host-accessToken does not open", "__Host-refreshToken does not open"}},
		{"another host sets cookies of the same names", func(_ *testing.T, p *middlewaretest.Provider, rep *report) {
			a := rep.watched(p)
			r := ended(p, a)
			r.Header.Add("Cookie", r.Header.Get("Cookie"))
			serve(a.Require(http.HandlerFunc(hello)), r)
		}, []string{"refused cause= reason=no_token", "__Host-accessToken came twice", "__Host-refreshToken came twice"}},
		{"the prefix or the domain has been changed", func(_ *testing.T, p *middlewaretest.Provider, rep *report) {
			a, b := rep.watched(p), rep.watched(p)
			b.Cookies.Domain = "app.test"
			serve(b.Require(http.HandlerFunc(hello)), ended(p, a))
		}, []string{"refused cause= reason=no_token: middleware: refused with 401: middleware: no access token"}},
		{"the access token has outgrown the limit", func(t *testing.T, p *middlewaretest.Provider, rep *report) {
			a := rep.watched(p)
			r := get()
			claims := expired("ann")
			claims["roles"] = strings.Repeat("r", 8<<10)
			if err := a.Cookies.Replace(r.Header, p.Login(claims)); err != nil {
				t.Fatal(err)
			}
			serve(a.Require(http.HandlerFunc(hello)), r)
		}, []string{"refresh_failed", "too long", "refused cause= reason=unavailable", "provider_called outcome=exchanged"}},
		{"this machine's clock is behind", func(_ *testing.T, p *middlewaretest.Provider, rep *report) {
			a := rep.watched(p)
			now := time.Now().Add(time.Hour)
			r := get()
			r.Header.Set("Authorization", "Bearer "+p.Token(map[string]any{"iat": now.Unix(), "exp": now.Add(time.Minute).Unix()}))
			serve(a.Require(http.HandlerFunc(hello)), r)
		}, []string{"refused cause= reason=invalid", "issued in the future"}},
		{"this machine's clock is ahead by less than a token's life", func(t *testing.T, p *middlewaretest.Provider, rep *report) {
			a := rep.watched(p)
			calls := 0
			aged := func() refresh.Tokens {
				now := time.Now().Unix()
				return p.Login(map[string]any{"sub": "ann", "iat": now - 290, "exp": now + 10})
			}
			a.Refresher = refresh.Func(func(context.Context, refresh.Tokens) (refresh.Tokens, error) {
				calls++
				return aged(), nil
			})
			r := get()
			middlewaretest.SignIn(a, r, aged())
			for range 3 {
				middlewaretest.Keep(r, serve(a.Require(http.HandlerFunc(hello)), r).Result())
			}
			// No early one is begun for some seconds after one in vain.
			if err := a.Close(); err != nil || calls != 1 {
				t.Errorf("%d refreshes for three requests: %v", calls, err)
			}
		}, []string{"refreshed cause=due"}},
		{"this machine's clock is ahead by more", func(_ *testing.T, p *middlewaretest.Provider, rep *report) {
			a := rep.watched(p)
			r := ended(p, a)
			a = rep.watched(p)
			a.Refresher = refresh.Func(func(context.Context, refresh.Tokens) (refresh.Tokens, error) {
				return p.Login(expired("ann")), nil
			})
			serve(a.Require(http.HandlerFunc(hello)), r)
		}, []string{"refresh_failed", "token expired", "reason=unavailable"}},
		{"a revocation", func(t *testing.T, p *middlewaretest.Provider, rep *report) {
			a := rep.watched(p)
			a.Revocations = new(middleware.Revocations)
			r := get()
			middlewaretest.SignIn(a, r, p.Login(map[string]any{"sub": "ann"}))
			<-time.After(time.Second) // tokens tell their age in whole seconds
			if err := a.Revocations.RevokeSubject(t.Context(), "https://provider.test", "ann", time.Time{}); err != nil {
				t.Fatal(err)
			}
			serve(a.Require(http.HandlerFunc(hello)), r)
		}, []string{"refused cause= reason=revoked"}},
		{"the provider answers for somebody else", func(_ *testing.T, p *middlewaretest.Provider, rep *report) {
			a := rep.watched(p)
			r := ended(p, a)
			p.Endpoint.Fail(refreshtest.OtherSubject, 1)
			serve(a.Require(http.HandlerFunc(hello)), r)
		}, []string{"other_subject", "refused cause= reason=other_subject"}},
		{"a form of another origin", func(_ *testing.T, p *middlewaretest.Provider, rep *report) {
			a := rep.watched(p)
			r := ended(p, a)
			r.Method = "POST"
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			serve(a.Require(http.HandlerFunc(hello)), r)
		}, []string{"refused cause= reason=cross_origin"}},
		{"a handle of a login on the server is used again", func(t *testing.T, p *middlewaretest.Provider, rep *report) {
			kept := logins(p, new(refresh.MemoryStore))
			a := rep.watched(p)
			a.Refresher = kept
			stolen := get()
			middlewaretest.SignIn(a, stolen, p.Login(map[string]any{"sub": "ann"}))
			r := stolen.Clone(stolen.Context())
			for range 3 {
				<-time.After(5 * time.Minute)
				middlewaretest.Keep(r, serve(a.Require(http.HandlerFunc(hello)), r).Result())
			}
			<-time.After(time.Minute)
			serve(a.Require(http.HandlerFunc(hello)), stolen)
			if err := errors.Join(a.Close(), kept.Close()); err != nil {
				t.Error(err)
			}
		}, []string{"handle_reused", "ended", "refused cause= reason=login_over"}},
		{"the store has lost a login", func(t *testing.T, p *middlewaretest.Provider, rep *report) {
			a, b := rep.watched(p), rep.watched(p)
			before, after := logins(p, new(refresh.MemoryStore)), logins(p, new(refresh.MemoryStore))
			a.Refresher, b.Refresher = before, after
			r := get()
			middlewaretest.SignIn(a, r, p.Login(map[string]any{"sub": "ann"}))
			serve(b.Require(http.HandlerFunc(hello)), r)
			if err := errors.Join(a.Close(), b.Close(), before.Close(), after.Close()); err != nil {
				t.Error(err)
			}
		}, []string{"ended", "there is no such login", "refused cause= reason=login_over"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, rep := middlewaretest.NewProvider(t), new(report)
				tt.do(t, p, rep)
				synctest.Wait()
				for _, want := range tt.want {
					if !strings.Contains(rep.String(), want) {
						t.Errorf("no event tells of %q:\n%s", want, rep)
					}
				}
			})
		})
	}
}

func logins(p *middlewaretest.Provider, store refresh.Store) *sessions.Sessions {
	return &sessions.Sessions{
		Refresher: p, Store: store,
	}
}
