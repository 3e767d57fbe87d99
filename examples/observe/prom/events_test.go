package prom

import (
	"context"
	"errors"
	"time"

	"github.com/tokenlife/tokenlife/refresh/event"
)

var (
	errTest = errors.New("the reason, with words of its own")
	took    = 300 * time.Millisecond
)

// An event and what of the metrics changes by it. The sum of a histogram stands
// for its buckets, which change as well.
var events = []struct {
	name  string
	event event.Event
	want  map[string]float64
}{
	{
		"a cookie is good",
		event.Event{Kind: event.Verified},
		map[string]float64{`requests_verified_total{credential="cookie"}`: 1},
	},
	{
		"a bearer token is good",
		event.Event{Kind: event.Verified, Bearer: true},
		map[string]float64{`requests_verified_total{credential="header"}`: 1},
	},
	{
		"a request is refused",
		event.Event{Kind: event.Refused, Reason: "scope", Err: errTest},
		map[string]float64{`requests_refused_total{reason="scope"}`: 1},
	},
	{
		"a request is refused for a reason of tomorrow",
		event.Event{Kind: event.Refused, Reason: "moonlight", Err: errTest},
		map[string]float64{`requests_refused_total{reason="other"}`: 1},
	},
	{
		"a login is refreshed",
		event.Event{Kind: event.Refreshed, Cause: "expired", Took: took},
		map[string]float64{`refreshes_total{cause="expired",result="refreshed"}`: 1, `refresh_wait_seconds_sum{result="refreshed"}`: 0.3},
	},
	{
		"old cookies get the tokens that there are",
		event.Event{Kind: event.Refreshed, Cause: "due", Took: took, Remembered: true},
		map[string]float64{`refreshes_total{cause="due",result="remembered"}`: 1, `refresh_wait_seconds_sum{result="remembered"}`: 0.3},
	},
	{
		"a refresh has a cause of tomorrow",
		event.Event{Kind: event.Refreshed, Cause: "moonlight"},
		map[string]float64{`refreshes_total{cause="other",result="refreshed"}`: 1, `refresh_wait_seconds_count{result="refreshed"}`: 1},
	},
	{
		"a refresh fails",
		event.Event{Kind: event.RefreshFailed, Cause: "absent", Took: took, Err: errTest},
		map[string]float64{`refreshes_total{cause="absent",result="failed"}`: 1, `refresh_wait_seconds_sum{result="failed"}`: 0.3},
	},
	{
		"a login is over",
		event.Event{Kind: event.Ended, Cause: "asked", Took: took, Err: errTest},
		map[string]float64{`refreshes_total{cause="asked",result="ended"}`: 1, `refresh_wait_seconds_sum{result="ended"}`: 0.3},
	},
	{
		"a refresh brings another's tokens",
		event.Event{Kind: event.OtherSubject, Cause: "marker", Took: took, Err: errTest},
		map[string]float64{`refreshes_total{cause="marker",result="other_subject"}`: 1, `refresh_wait_seconds_sum{result="other_subject"}`: 0.3},
	},
	{"a handler is run again", event.Event{Kind: event.Replayed}, map[string]float64{`requests_replayed_total`: 1}},
	{"a setting does not fit the provider", event.Event{Kind: event.Misconfigured, Err: errTest}, map[string]float64{`misconfigured_total`: 1}},
	{"cookies are too big", event.Event{Kind: event.CookiesFailed, Err: errTest}, map[string]float64{`cookies_failed_total`: 1}},
	{"somebody signs in", event.Event{Kind: event.SignedIn}, map[string]float64{`sign_ins_total`: 1}},
	{"somebody signs out", event.Event{Kind: event.SignedOut}, map[string]float64{`sign_outs_total{result="ok"}`: 1}},
	{
		"somebody signs out here alone",
		event.Event{Kind: event.SignedOut, Err: errTest},
		map[string]float64{`sign_outs_total{result="failed"}`: 1},
	},
	{
		"the revocations are out of reach",
		event.Event{Kind: event.RevocationsFailed, Err: errTest},
		map[string]float64{`store_failures_total{asked_by="revocations"}`: 1},
	},
	{
		"a user says no",
		event.Event{Kind: event.SignInFailed, Reason: "access_denied", Err: errTest},
		map[string]float64{`sign_ins_failed_total{reason="access_denied"}`: 1},
	},
	{
		"a sign-in goes astray",
		event.Event{Kind: event.SignInFailed, Err: errTest},
		map[string]float64{`sign_ins_failed_total{reason="other"}`: 1},
	},
	{
		"the provider signs somebody out",
		event.Event{Kind: event.BackChannelLogout},
		map[string]float64{`back_channel_logouts_total{result="ok"}`: 1},
	},
	{
		"somebody poses as the provider",
		event.Event{Kind: event.BackChannelLogout, Err: errTest},
		map[string]float64{`back_channel_logouts_total{result="failed"}`: 1},
	},
	{
		"seven wait for the provider",
		event.Event{Kind: event.ProviderCalled, Outcome: event.OutcomeExchanged, Waiters: 7, Took: took},
		map[string]float64{`provider_call_seconds_sum{outcome="exchanged"}`: 0.3, `provider_call_waiters_total`: 7},
	},
	{
		"another replica has the answer",
		event.Event{Kind: event.ProviderCalled, Outcome: event.OutcomeShared, Waiters: 1, Took: took},
		map[string]float64{`provider_call_seconds_sum{outcome="shared"}`: 0.3, `provider_call_waiters_total`: 1},
	},
	{
		"the provider says no",
		event.Event{Kind: event.ProviderCalled, Outcome: event.OutcomeDenied, Waiters: 1, Took: took, Err: errTest},
		map[string]float64{`provider_call_seconds_sum{outcome="denied"}`: 0.3, `provider_call_waiters_total`: 1},
	},
	{
		"the user has signed out meanwhile",
		event.Event{Kind: event.ProviderCalled, Outcome: event.OutcomeEnded, Waiters: 1, Took: took, Err: errTest},
		map[string]float64{`provider_call_seconds_sum{outcome="ended"}`: 0.3, `provider_call_waiters_total`: 1},
	},
	{
		"the provider's answer is lost",
		event.Event{Kind: event.ProviderCalled, Outcome: event.OutcomeNoAnswer, Took: took, Err: errTest},
		map[string]float64{`provider_call_seconds_sum{outcome="no_answer"}`: 0.3},
	},
	{
		"the provider is down",
		event.Event{Kind: event.ProviderCalled, Outcome: event.OutcomeFailed, Waiters: 1, Took: took, Err: errTest},
		map[string]float64{`provider_call_seconds_sum{outcome="failed"}`: 0.3, `provider_call_waiters_total`: 1},
	},
	{
		"a call has an outcome of tomorrow",
		event.Event{Kind: event.ProviderCalled, Outcome: "moonlight", Took: took},
		map[string]float64{`provider_call_seconds_sum{outcome="other"}`: 0.3},
	},
	{
		"the store is down",
		event.Event{Kind: event.StoreDegraded, Err: errTest},
		map[string]float64{`store_failures_total{asked_by="refresh"}`: 1},
	},
	{
		"keys are fetched",
		event.Event{Kind: event.KeysFetched, Issuer: "https://tenant.example", Keys: 3, Took: took},
		map[string]float64{`key_set_fetch_seconds_sum{result="ok"}`: 0.3},
	},
	{
		"keys are not to be had",
		event.Event{Kind: event.KeysFetched, Issuer: "https://tenant.example", Took: took, Err: errTest},
		map[string]float64{`key_set_fetch_seconds_sum{result="failed"}`: 0.3},
	},
	{"a handle comes twice", event.Event{Kind: event.HandleReused}, map[string]float64{`sessions_ended_total{reason="reused"}`: 1}},
	{"the provider has ended a login", event.Event{Kind: event.LoginDenied}, map[string]float64{`sessions_ended_total{reason="denied"}`: 1}},
	{"a user has too many logins", event.Event{Kind: event.LoginDisplaced}, map[string]float64{`sessions_ended_total{reason="displaced"}`: 1}},
	{"a login ends for a reason of tomorrow", event.Event{Kind: "moonlight", Login: "1"}, map[string]float64{`sessions_ended_total{reason="other"}`: 1}},
}

// tell gives an event to m, of whose login nothing is to be seen.
func (m *Metrics) tell(ctx context.Context, e event.Event) {
	e.Issuer, e.Subject, e.Login = "https://tenant.example", "ann@example.com", "a login's name"
	m.Observe(ctx, e)
}
