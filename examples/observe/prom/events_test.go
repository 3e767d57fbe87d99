package prom

import (
	"context"
	"errors"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/login"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/sessions"
)

var (
	errTest = errors.New("the reason, with words of its own")
	took    = 300 * time.Millisecond
)

// An event and what of the metrics changes by it. The sum of a histogram stands
// for its buckets, which change as well.
var events = []struct {
	name  string
	event any
	want  map[string]float64
}{
	{
		"a cookie is good",
		middleware.Event{Kind: middleware.Verified},
		map[string]float64{`requests_verified_total{credential="cookie"}`: 1},
	},
	{
		"a bearer token is good",
		middleware.Event{Kind: middleware.Verified, Bearer: true},
		map[string]float64{`requests_verified_total{credential="header"}`: 1},
	},
	{
		"a request is refused",
		middleware.Event{Kind: middleware.Refused, Reason: "scope", Err: errTest},
		map[string]float64{`requests_refused_total{reason="scope"}`: 1},
	},
	{
		"a request is refused for a reason of tomorrow",
		middleware.Event{Kind: middleware.Refused, Reason: "moonlight", Err: errTest},
		map[string]float64{`requests_refused_total{reason="other"}`: 1},
	},
	{
		"a login is refreshed",
		middleware.Event{Kind: middleware.Refreshed, Cause: "expired", Took: took},
		map[string]float64{`refreshes_total{cause="expired",result="refreshed"}`: 1, `refresh_wait_seconds_sum{result="refreshed"}`: 0.3},
	},
	{
		"old cookies get the tokens that there are",
		middleware.Event{Kind: middleware.Refreshed, Cause: "due", Took: took, Remembered: true},
		map[string]float64{`refreshes_total{cause="due",result="remembered"}`: 1, `refresh_wait_seconds_sum{result="remembered"}`: 0.3},
	},
	{
		"a refresh has a cause of tomorrow",
		middleware.Event{Kind: middleware.Refreshed, Cause: "moonlight"},
		map[string]float64{`refreshes_total{cause="other",result="refreshed"}`: 1, `refresh_wait_seconds_count{result="refreshed"}`: 1},
	},
	{
		"a refresh fails",
		middleware.Event{Kind: middleware.RefreshFailed, Cause: "absent", Took: took, Err: errTest},
		map[string]float64{`refreshes_total{cause="absent",result="failed"}`: 1, `refresh_wait_seconds_sum{result="failed"}`: 0.3},
	},
	{
		"a login is over",
		middleware.Event{Kind: middleware.Ended, Cause: "asked", Took: took, Err: errTest},
		map[string]float64{`refreshes_total{cause="asked",result="ended"}`: 1, `refresh_wait_seconds_sum{result="ended"}`: 0.3},
	},
	{
		"a refresh brings another's tokens",
		middleware.Event{Kind: middleware.OtherSubject, Cause: "marker", Took: took, Err: errTest},
		map[string]float64{`refreshes_total{cause="marker",result="other_subject"}`: 1, `refresh_wait_seconds_sum{result="other_subject"}`: 0.3},
	},
	{"a handler is run again", middleware.Event{Kind: middleware.Replayed}, map[string]float64{`requests_replayed_total`: 1}},
	{"cookies are too big", middleware.Event{Kind: middleware.CookiesFailed, Err: errTest}, map[string]float64{`cookies_failed_total`: 1}},
	{"somebody signs in", middleware.Event{Kind: middleware.SignedIn}, map[string]float64{`sign_ins_total`: 1}},
	{"somebody signs out", middleware.Event{Kind: middleware.SignedOut}, map[string]float64{`sign_outs_total{result="ok"}`: 1}},
	{
		"somebody signs out here alone",
		middleware.Event{Kind: middleware.SignedOut, Err: errTest},
		map[string]float64{`sign_outs_total{result="failed"}`: 1},
	},
	{
		"the revocations are out of reach",
		middleware.Event{Kind: middleware.RevocationsFailed, Err: errTest},
		map[string]float64{`store_failures_total{asked_by="revocations"}`: 1},
	},
	{
		"a user says no",
		middleware.Event{Kind: login.Failed, Reason: "access_denied", Err: errTest},
		map[string]float64{`sign_ins_failed_total{reason="access_denied"}`: 1},
	},
	{
		"a sign-in goes astray",
		middleware.Event{Kind: login.Failed, Err: errTest},
		map[string]float64{`sign_ins_failed_total{reason="other"}`: 1},
	},
	{
		"the provider signs somebody out",
		middleware.Event{Kind: login.LoggedOut},
		map[string]float64{`back_channel_logouts_total{result="ok"}`: 1},
	},
	{
		"somebody poses as the provider",
		middleware.Event{Kind: login.LoggedOut, Err: errTest},
		map[string]float64{`back_channel_logouts_total{result="failed"}`: 1},
	},
	{
		"seven wait for the provider",
		refresh.Event{Kind: refresh.Called, Outcome: refresh.Exchanged, Waiters: 7, Took: took},
		map[string]float64{`provider_call_seconds_sum{outcome="exchanged"}`: 0.3, `provider_call_waiters_total`: 7},
	},
	{
		"another replica has the answer",
		refresh.Event{Kind: refresh.Called, Outcome: refresh.Shared, Waiters: 1, Took: took},
		map[string]float64{`provider_call_seconds_sum{outcome="shared"}`: 0.3, `provider_call_waiters_total`: 1},
	},
	{
		"the provider says no",
		refresh.Event{Kind: refresh.Called, Outcome: refresh.Denied, Waiters: 1, Took: took, Err: errTest},
		map[string]float64{`provider_call_seconds_sum{outcome="denied"}`: 0.3, `provider_call_waiters_total`: 1},
	},
	{
		"the user has signed out meanwhile",
		refresh.Event{Kind: refresh.Called, Outcome: refresh.Ended, Waiters: 1, Took: took, Err: errTest},
		map[string]float64{`provider_call_seconds_sum{outcome="ended"}`: 0.3, `provider_call_waiters_total`: 1},
	},
	{
		"the provider's answer is lost",
		refresh.Event{Kind: refresh.Called, Outcome: refresh.NoAnswer, Took: took, Err: errTest},
		map[string]float64{`provider_call_seconds_sum{outcome="no_answer"}`: 0.3},
	},
	{
		"the provider is down",
		refresh.Event{Kind: refresh.Called, Outcome: refresh.Failed, Waiters: 1, Took: took, Err: errTest},
		map[string]float64{`provider_call_seconds_sum{outcome="failed"}`: 0.3, `provider_call_waiters_total`: 1},
	},
	{
		"a call has an outcome of tomorrow",
		refresh.Event{Kind: refresh.Called, Outcome: "moonlight", Took: took},
		map[string]float64{`provider_call_seconds_sum{outcome="other"}`: 0.3},
	},
	{
		"the store is down",
		refresh.Event{Kind: refresh.StoreDegraded, Err: errTest},
		map[string]float64{`store_failures_total{asked_by="refresh"}`: 1},
	},
	{
		"keys are fetched",
		verify.Event{Kind: verify.KeysFetched, Issuer: "https://tenant.example", Keys: 3, Took: took},
		map[string]float64{`key_set_fetch_seconds_sum{result="ok"}`: 0.3},
	},
	{
		"keys are not to be had",
		verify.Event{Kind: verify.KeysFetched, Issuer: "https://tenant.example", Took: took, Err: errTest},
		map[string]float64{`key_set_fetch_seconds_sum{result="failed"}`: 0.3},
	},
	{"a handle comes twice", sessions.Event{Kind: sessions.Reused}, map[string]float64{`sessions_ended_total{reason="reused"}`: 1}},
	{"the provider has ended a login", sessions.Event{Kind: sessions.Denied}, map[string]float64{`sessions_ended_total{reason="denied"}`: 1}},
	{"a user has too many logins", sessions.Event{Kind: sessions.Displaced}, map[string]float64{`sessions_ended_total{reason="displaced"}`: 1}},
	{"a login ends for a reason of tomorrow", sessions.Event{Kind: "moonlight"}, map[string]float64{`sessions_ended_total{reason="other"}`: 1}},
}

// tell gives an event, of whom nothing is to be seen, to the hook that it is for.
func (m *Metrics) tell(ctx context.Context, event any) {
	const issuer, subject = "https://tenant.example", "ann@example.com"
	switch e := event.(type) {
	case middleware.Event:
		e.Issuer, e.Subject = issuer, subject
		m.Auth(ctx, e)
	case refresh.Event:
		m.Calls(ctx, e)
	case verify.Event:
		m.Keys(ctx, e)
	case sessions.Event:
		e.Issuer, e.Subject, e.Login.ID = issuer, subject, "a login's name"
		m.Sessions(ctx, e)
	}
}
