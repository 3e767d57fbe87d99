// Package prom turns events into Prometheus metrics. It is made to be copied: it
// is one file, needs nothing but client_golang, and its Observe hears all that a
// middleware.Auth and what it uses tell.
//
//	m, err := prom.New(prometheus.DefaultRegisterer)
//	…
//	auth := &middleware.Auth{Verifier: tokens, Refresher: coordinator, Observe: m.Observe}
//
// Labels have words of a fixed list, and every series stands at 0 from the
// start: there are as many after a year as on the first day, and a rate shows
// the first event too. Subjects and errors are for the log. Issuers are too,
// because verify.JWT.Lookup can find them at run time, as many as there are
// tenants.
package prom

import (
	"context"
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/event"
)

// Metrics counts events. Its methods may be called by any number of goroutines.
type Metrics struct {
	verified, refused, signInFailed, signedOut, loggedOut counters
	signedIn, replayed, cookiesFailed, misconfigured      prometheus.Counter

	refreshes map[string]counters // by cause, and then result
	waits     timers              // by result

	calls   timers // by outcome
	waiters prometheus.Counter

	fetches            timers // by result
	ended, storeFailed counters

	all []prometheus.Collector
}

// New returns Metrics that are registered with r. It is an error to do so twice.
func New(r prometheus.Registerer) (*Metrics, error) {
	m := new(Metrics)
	m.verified = m.counters("requests_verified_total", "Requests that went on with a good access token, by what carried it.",
		"credential", "cookie", "header")
	m.refused = m.counters("requests_refused_total", "Requests that were refused, by reason.",
		"reason", "no_token", "malformed", "invalid", "expired", "revoked", "login_over", "other_subject",
		"cross_origin", "scope", "group", "authentication", "canceled", "unavailable", other)
	m.replayed = m.counter("requests_replayed_total", "Requests that were run again with a new token, because the handler answered 401.")
	m.cookiesFailed = m.counter("cookies_failed_total", "New tokens that could not be put into cookies.")
	m.misconfigured = m.counter("misconfigured_total", "Settings that were found not to fit the provider; the log says which.")

	// Remembered ones came with a refresh token that had been exchanged before: a
	// provider that takes each but once would have ended their login.
	results := []string{"refreshed", "remembered", "failed", "ended", "other_subject"}
	refreshes := prometheus.NewCounterVec(options("refreshes_total", "Refreshes as requests saw them, by cause and result."),
		[]string{"cause", "result"})
	m.all = append(m.all, refreshes)
	m.refreshes = make(map[string]counters)
	for _, cause := range []string{"expired", "due", "absent", "invalid", "marker", "answer", "asked", other} {
		m.refreshes[cause] = resolve(refreshes.MustCurryWith(prometheus.Labels{"cause": cause}), results)
	}
	m.waits = m.timers("refresh_wait_seconds", "How long refreshes took for a request, by result.", "result", results...)
	m.calls = m.timers("provider_call_seconds", "How long exchanges of a refresh token took, by outcome; shared ones were another replica's.",
		"outcome", string(event.OutcomeExchanged), string(event.OutcomeShared), string(event.OutcomeDenied), string(event.OutcomeEnded),
		string(event.OutcomeNoAnswer), string(event.OutcomeFailed), other)
	m.waiters = m.counter("provider_call_waiters_total", "Requests that waited for these exchanges, together.")

	m.signedIn = m.counter("sign_ins_total", "Logins that began.")
	m.signInFailed = m.counters("sign_ins_failed_total", "Sign-ins that failed, by the provider's error code; other: a rarer one, or none.",
		"reason", "access_denied", "login_required", "server_error", "temporarily_unavailable", other)
	m.signedOut = m.counters("sign_outs_total", "Logins that their users ended, and if the provider was told.", "result", "ok", "failed")
	m.loggedOut = m.counters("back_channel_logouts_total", "Logout requests of the provider, and if they were obeyed.", "result", "ok", "failed")
	m.ended = m.counters("sessions_ended_total", "Logins kept on the server that no user ended, by reason; reused: perhaps a theft.",
		"reason", "reused", "denied", "displaced", other)

	m.fetches = m.timers("key_set_fetch_seconds", "How long fetches of key sets took, by result.", "result", "ok", "failed")
	m.storeFailed = m.counters("store_failures_total", "Times that the store did not answer, by who asked.", "asked_by", "refresh", "revocations")
	for _, c := range m.all {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("prom: %w", err)
		}
	}
	return m, nil
}

// other stands for words that have no series of their own.
const other = "other"

// Observe counts an event: it is the Observe of a middleware.Auth, which hands it
// on to what it uses.
func (m *Metrics) Observe(_ context.Context, e event.Event) {
	switch e.Kind {
	case event.Verified:
		if e.Bearer {
			of(m.verified, "header").Inc()
		} else {
			of(m.verified, "cookie").Inc()
		}
	case event.Refused:
		of(m.refused, e.Reason).Inc()
	case event.Refreshed:
		if e.Remembered {
			m.refreshed("remembered", e)
		} else {
			m.refreshed("refreshed", e)
		}
	case event.RefreshFailed:
		m.refreshed("failed", e)
	case event.Ended:
		m.refreshed("ended", e)
	case event.OtherSubject:
		m.refreshed("other_subject", e)
	case event.Replayed:
		m.replayed.Inc()
	case event.CookiesFailed:
		m.cookiesFailed.Inc()
	case event.Misconfigured:
		m.misconfigured.Inc()
	case event.SignedIn:
		m.signedIn.Inc()
	case event.SignedOut:
		of(m.signedOut, result(e.Err)).Inc()
	case event.RevocationsFailed:
		of(m.storeFailed, "revocations").Inc()
	case event.SignInFailed:
		of(m.signInFailed, e.Reason).Inc()
	case event.BackChannelLogout:
		of(m.loggedOut, result(e.Err)).Inc()
	case event.ProviderCalled:
		of(m.calls, string(e.Outcome)).Observe(e.Took.Seconds())
		m.waiters.Add(float64(e.Waiters))
	case event.StoreDegraded:
		of(m.storeFailed, "refresh").Inc()
	case event.KeysFetched:
		of(m.fetches, result(e.Err)).Observe(e.Took.Seconds())
	case event.HandleReused:
		of(m.ended, "reused").Inc()
	case event.LoginDenied:
		of(m.ended, "denied").Inc()
	case event.LoginDisplaced:
		of(m.ended, "displaced").Inc()
	default:
		if e.Login != "" {
			of(m.ended, other).Inc()
		}
	}
}

func (m *Metrics) refreshed(result string, e event.Event) {
	of(of(m.refreshes, e.Cause), result).Inc()
	of(m.waits, result).Observe(e.Took.Seconds())
}

func result(err error) string {
	if err != nil && !errors.Is(err, refresh.ErrNoRevocation) { // that is as well as it can be

		return "failed"
	}
	return "ok"
}

// Counters and timers are the series of a metric by the value of its label. They
// are looked up here, where it costs a request less than in the metric itself.
type (
	counters map[string]prometheus.Counter
	timers   map[string]prometheus.Observer
)

func of[T any](series map[string]T, value string) T {
	if s, ok := series[value]; ok {
		return s
	}
	return series[other]
}

func resolve(v *prometheus.CounterVec, values []string) counters {
	c := make(counters)
	for _, value := range values {
		c[value] = v.WithLabelValues(value)
	}
	return c
}

func (m *Metrics) counters(name, help, label string, values ...string) counters {
	v := prometheus.NewCounterVec(options(name, help), []string{label})
	m.all = append(m.all, v)
	return resolve(v, values)
}

func (m *Metrics) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(options(name, help))
	m.all = append(m.all, c)
	return c
}

func (m *Metrics) timers(name, help, label string, values ...string) timers {
	o := options(name, help)
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: o.Namespace, Name: o.Name, Help: o.Help}, []string{label})
	m.all = append(m.all, v)
	t := make(timers)
	for _, value := range values {
		t[value] = v.WithLabelValues(value)
	}
	return t
}

func options(name, help string) prometheus.CounterOpts {
	return prometheus.CounterOpts{Namespace: "tokenlife", Name: name, Help: help}
}
