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

// dueAt returns when t is due: from then on it is refreshed, so that it does
// not expire while a request is under way. It returns the zero time for a token
// without an expiry. The marker tells scripts the same time, except that it
// counts the age of the token from when the marker is written.
func (a *Auth) dueAt(t *verify.Token) time.Time {
	return cookies.DueAt(t.IssuedAt, t.Expiry, a.ahead)
}

// isDue reports whether t is due.
func (a *Auth) isDue(t *verify.Token) bool {
	at := a.dueAt(t)
	return !at.IsZero() && !time.Now().Before(at)
}

// isDueIn reports whether t, the good token in r's cookies, is due. A request
// without a marker refreshes t at once, as a script does that finds no marker.
// A request with a marker waits for a jitter, so that logins that began
// together do not all refresh together.
func (a *Auth) isDueIn(r *http.Request, t *verify.Token) bool {
	at := a.dueAt(t)
	if at.IsZero() {
		return false
	}
	left := time.Until(at)
	if left > time.Second { // the marker's Max-Age is in whole seconds
		return false
	}
	if left <= -jitter(t.Raw, t.Expiry.Sub(at)/4) {
		return true
	}
	_, marked := a.policy.Marker(r)
	return !marked
}

// jitter returns a time below limit. It depends on the token alone.
func jitter(raw string, limit time.Duration) time.Duration {
	h := fnv.New32a()
	_, _ = io.WriteString(h, raw[max(0, len(raw)-16):]) // the end of the signature
	return limit * time.Duration(h.Sum32()%1024) / 1024
}

// A backgroundRefresh is a refresh that runs beside the handler. It is for a
// token that is due and still good.
type backgroundRefresh struct {
	decision *decision     // has the new tokens
	err      error         // why there are none
	done     chan struct{} // closed when both are set
}

// backoff is the time after a failed refresh in which no other is begun for a
// token that is still good. Its requests would wait for a provider that is
// down.
const backoff = 5 * time.Second

// errBackgroundPanic stands for a panic of the Verifier.
var errBackgroundPanic = errors.New("middleware: a refresh beside the handler panicked")

// refreshInBackground begins to exchange the tokens that the cookies held,
// unless there is a back-off. The handler of d runs meanwhile.
func (a *Auth) refreshInBackground(d *decision, held refresh.Tokens) {
	if a.inBackoff() {
		return
	}
	b := &backgroundRefresh{decision: &decision{Context: context.WithoutCancel(d.Context)}, done: make(chan struct{})}
	old := d.token
	d.background = b
	a.background.Go(func() {
		defer close(b.done)
		defer func() {
			if recover() != nil { // it would end the whole program
				b.err = errBackgroundPanic
			}
		}()
		b.err = a.exchange(b.decision, held, old, "due")
		a.updateBackoff(b.decision, b.err)
	})
}

// inBackoff reports whether to skip the refresh of a token that is still good.
// When the back-off ends, one request probes the provider. The others keep
// skipping until the probe has ended or timed out.
func (a *Auth) inBackoff() bool {
	now, until := time.Now(), a.backoffUntil.Load()
	if until == 0 || now.UnixNano() < until {
		return until != 0
	}
	timeout := cmp.Or(max(0, a.coordinator.Timeout), refresh.DefaultTimeout) + time.Second
	return !a.backoffUntil.CompareAndSwap(until, now.Add(max(backoff, timeout)).UnixNano())
}

// updateBackoff begins or ends the back-off by the result of a refresh of a
// token that is still good. The back-off begins if the refresh has failed, or
// if the new token is due already because the provider's clock is far from
// ours. It ends if the refresh has succeeded. A remembered result says nothing
// of the provider now. A denied refresh and another subject's token say nothing
// of it either, nor does one whose tokens are not good.
func (a *Auth) updateBackoff(d *decision, err error) {
	switch {
	case errors.Is(err, refresh.ErrDenied), errors.Is(err, refresh.ErrOtherSubject), errors.Is(err, errRejected), d.Err() != nil,
		err == nil && d.renewal.Remembered:
	case err != nil, a.isDue(d.token):
		a.backoffUntil.Store(time.Now().Add(backoff).UnixNano())
	case a.backoffUntil.Load() != 0:
		a.backoffUntil.Store(0)
	}
}

// wait waits for the result of b and returns its error. If the client of d goes
// first, the error is that of d's context.
func (b *backgroundRefresh) wait(d *decision) error {
	select {
	case <-b.done:
		return b.err
	case <-d.Done():
		select { // both may be done
		case <-b.done:
			return b.err
		default:
			return d.Err()
		}
	}
}

// release releases the new tokens of b, now or as soon as b is done.
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
		go func() { <-b.done; release() }() // it ends with the refresh, for which Close waits
	}
}
