package middleware

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
)

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
