package middleware

import (
	"cmp"
	"context"
	"errors"
	"hash/fnv"
	"io"
	"net/http"
	"time"

	"github.com/tokenlife/tokenlife/cookies"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
)

// dueAt returns when t, a token that was just given or shown, is to be exchanged:
// before it ends, so that it does not end while a request is under way. It
// returns the zero time for a token that does not end. Scripts are told the same by
// the marker, where the age of the token counts from when it is written.
func (a *Auth) dueAt(t *verify.Token) time.Time {
	return cookies.DueAt(t.IssuedAt, t.Expiry, a.ahead)
}

// isDue reports whether t is due, for whomever.
func (a *Auth) isDue(t *verify.Token) bool {
	at := a.dueAt(t)
	return !at.IsZero() && !time.Now().Before(at)
}

// isDueIn reports whether t, the good token in r's cookies, is to be exchanged
// now. A script does it where the marker has gone. A request whose browser has a
// marker begins a little later, each token at a time of its own, so that logins
// that began together do not all ask the provider together.
func (a *Auth) isDueIn(r *http.Request, t *verify.Token) bool {
	at := a.dueAt(t)
	if at.IsZero() {
		return false
	}
	left := time.Until(at)
	if left > time.Second { // a marker's life is in whole seconds
		return false
	}
	if left <= -jitter(t.Raw, t.Expiry.Sub(at)/4) {
		return true
	}
	_, marked := a.policy.Marker(r)
	return !marked
}

// jitter is a time below limit that is always the same for one token.
func jitter(raw string, limit time.Duration) time.Duration {
	h := fnv.New32a()
	_, _ = io.WriteString(h, raw[max(0, len(raw)-16):]) // the signature's end
	return limit * time.Duration(h.Sum32()%1024) / 1024
}

// A backgroundRefresh runs beside the handler, because the access token is due but
// still good.
type backgroundRefresh struct {
	decision *decision // what the refresh has come to, when done is closed
	err      error
	done     chan struct{}
}

// backoff is how long no background refresh is begun after one has failed, so that
// requests that need nothing do not wait for a provider that is down.
const backoff = 5 * time.Second

// errBackgroundPanic stands for what a Verifier panicked with.
var errBackgroundPanic = errors.New("middleware: a refresh beside the handler panicked")

// refreshInBackground begins to exchange old while the handler of d runs.
func (a *Auth) refreshInBackground(d *decision, old refresh.Tokens) {
	if a.inBackoff() {
		return
	}
	b := &backgroundRefresh{decision: &decision{Context: context.WithoutCancel(d.Context)}, done: make(chan struct{})}
	was := d.token
	d.background = b
	a.background.Go(func() {
		defer close(b.done)
		defer func() {
			if recover() != nil { // in a goroutine of ours it would end the whole program
				b.err = errBackgroundPanic
			}
		}()
		b.err = a.exchange(b.decision, old, was, "due")
		a.updateBackoff(b.decision, b.err)
	})
}

// inBackoff reports whether to skip a background refresh. When the back-off ends,
// one request probes the provider; the others keep skipping until the probe has
// ended or timed out.
func (a *Auth) inBackoff() bool {
	now, until := time.Now(), a.backoffUntil.Load()
	if until == 0 || now.UnixNano() < until {
		return until != 0
	}
	timeout := cmp.Or(max(0, a.coordinator.Timeout), refresh.DefaultTimeout) + time.Second
	return !a.backoffUntil.CompareAndSwap(until, now.Add(max(backoff, timeout)).UnixNano())
}

// updateBackoff begins a back-off, or ends it, by the result of a refresh that was
// not needed yet. The refresh has failed where the provider is down, and also where
// its new token is due already, because its clock and ours are far apart. A result
// that was remembered says nothing of the provider now, nor does a refusal, which
// may be our own.
func (a *Auth) updateBackoff(d *decision, err error) {
	switch {
	case errors.Is(err, refresh.ErrDenied), errors.Is(err, errOtherSubject), d.Err() != nil,
		err == nil && d.renewal.Remembered:
	case err != nil, a.isDue(d.token):
		a.backoffUntil.Store(time.Now().Add(backoff).UnixNano())
	case a.backoffUntil.Load() != 0:
		a.backoffUntil.Store(0)
	}
}

// wait returns the result of b, or an error if the client of d has gone before.
func (b *backgroundRefresh) wait(d *decision) error {
	select {
	case <-b.done:
		return b.err
	case <-d.Done():
		select { // it may be done as well
		case <-b.done:
			return b.err
		default:
			return d.Err()
		}
	}
}

// release releases the tokens of b, now or when it is done.
func (b *backgroundRefresh) release() {
	release := func() {
		if b.decision.renewal != nil {
			b.decision.renewal.Release()
		}
	}
	select {
	case <-b.done:
		release()
	default:
		go func() { <-b.done; release() }() // ends with the refresh, which Close waits for
	}
}
