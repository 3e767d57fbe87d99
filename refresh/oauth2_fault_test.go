package refresh_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/internal/silence"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

type faultCase struct {
	name    string
	fault   refreshtest.Fault
	refusal refreshtest.Refusal
	denied  bool
	spent   bool // the old refresh token is used up
	status  int  // 0: not a ProviderError
	code    string
	retry   time.Duration
	is      error
}

// faults are what every way of reaching the provider must show.
var faults = []faultCase{
	{name: "a 500 in HTML", fault: refreshtest.ServerError, status: 500},
	{name: "a 503", fault: refreshtest.Unavailable, status: 503, code: "temporarily_unavailable", retry: 7 * time.Second},
	{name: "a 429", fault: refreshtest.Overloaded, status: 429, code: "temporarily_unavailable", retry: 7 * time.Second},
	{name: "a reset", fault: refreshtest.Reset},
	{name: "no answer", fault: refreshtest.Hang, is: context.DeadlineExceeded},
	{name: "a body that never comes", fault: refreshtest.HangBody, is: context.DeadlineExceeded},
	{name: "garbage", fault: refreshtest.Garbage},
	{name: "a huge body", fault: refreshtest.Huge},
	{name: "a redirect", fault: refreshtest.Redirect, status: 307},
	{name: "a wrong client", fault: refreshtest.InvalidClient, status: 401, code: "invalid_client"},
	{name: "a lost answer", fault: refreshtest.LostAnswer, spent: true},
	{name: "a 500 that looks like success", fault: refreshtest.LyingError, spent: true, status: 500},

	{name: "dead: 400 invalid_grant", fault: refreshtest.Refuse, denied: true, status: 400, code: "invalid_grant"},
	{name: "dead: 403 invalid_grant", fault: refreshtest.Refuse, refusal: refreshtest.ForbiddenGrant, denied: true, status: 403, code: "invalid_grant"},
	{name: "dead: 400 invalid_request", fault: refreshtest.Refuse, refusal: refreshtest.InvalidRequest, denied: true, status: 400, code: "invalid_request"},
	{name: "400 with nothing, which no provider says", fault: refreshtest.Refuse, refusal: refreshtest.EmptyBody, status: 400},
	{name: "401 with nothing, which no provider says", fault: refreshtest.Refuse, refusal: refreshtest.Unauthorized, status: 401},
	{name: "dead: invalid_grant with 200", fault: refreshtest.Refuse, refusal: refreshtest.ErrorIn200, denied: true, status: 200, code: "invalid_grant"},
}

func TestOAuth2FaultsOnSockets(t *testing.T) {
	for _, c := range faults {
		t.Run(c.name, func(t *testing.T) {
			provider := &refreshtest.Provider{ClientSecret: secret, Refusal: c.refusal}
			srv := refreshtest.NewServer(provider)
			defer srv.Close()
			client := &refresh.OAuth2{
				ClientID: "client", ClientSecret: secret, TokenURL: srv.URL + "/token", Client: srv.Client(),
			}
			if c.is != nil {
				client.Timeout = 50 * time.Millisecond
			}
			testFault(t, provider, client, c)
		})
	}
}

func TestOAuth2FaultsInVirtualTime(t *testing.T) {
	for _, c := range faults {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				provider := &refreshtest.Provider{ClientSecret: secret, Refusal: c.refusal}
				client := &refresh.OAuth2{
					ClientID: "client", ClientSecret: secret, TokenURL: provider.URL("/token"), Client: provider.Client(),
				}
				begin := time.Now()
				testFault(t, provider, client, c)
				took, want := time.Since(begin), time.Duration(0)
				if c.is != nil {
					want = 10 * time.Second
				}
				if took != want {
					t.Errorf("it took %v, want %v", took, want)
				}
			})
		})
	}
}

func testFault(t *testing.T, provider *refreshtest.Provider, client *refresh.OAuth2, c faultCase) {
	t.Helper()
	old := provider.Login("alice")
	provider.Fail(c.fault, 1)
	tok, err := client.Refresh(t.Context(), old)
	silence.Error(t, err, all(old)...)
	if err == nil || tok != (refresh.Tokens{}) {
		t.Fatalf("Refresh = %v, %v, want an error and no tokens", tok, err)
	}
	if denied := errors.Is(err, refresh.ErrDenied); denied != c.denied {
		t.Errorf("denied: %t, want %t: %v", denied, c.denied, err)
	}
	if c.is != nil && !errors.Is(err, c.is) {
		t.Errorf("the error is %v, want one that wraps %v", err, c.is)
	}
	if !strings.HasPrefix(err.Error(), "refresh: ") {
		t.Errorf("the error does not name the package: %v", err)
	}
	refused, ok := errors.AsType[*refresh.ProviderError](err)
	if !ok {
		refused = new(refresh.ProviderError)
	}
	if refused.Status != c.status || refused.Code != c.code || refused.RetryAfter != c.retry {
		t.Errorf("the answer was %d %q %v, want %d %q %v", refused.Status, refused.Code, refused.RetryAfter, c.status, c.code, c.retry)
	}
	if calls := provider.Stats().Calls; calls != 1 {
		t.Errorf("%d calls, want 1: nothing is ever sent twice", calls)
	}
	if live := provider.Live(old); live == c.spent {
		t.Errorf("the refresh token is live: %t, want %t", live, !c.spent)
	}
	if !c.spent {
		again, err := client.Refresh(t.Context(), old)
		if err != nil || again.Access == "" || again.Access == old.Access || again.Refresh == old.Refresh {
			t.Errorf("after the fault: %v, %v, want new tokens", again, err)
		}
	}
}
