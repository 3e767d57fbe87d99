package middleware

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
)

// An early is a refresh that runs beside the handler, because the access token
// is due but still good.
type early struct {
	visit *visit // what the refresh has come to, when done is closed
	err   error
	done  chan struct{}
}

// earlyPause is how long no refresh is begun early after one in vain: so that
// requests that need nothing do not wait for a provider that is down.
const earlyPause = 5 * time.Second

// errEarlyPanic stands for what a Verifier panicked with.
var errEarlyPanic = errors.New("middleware: a refresh beside the handler panicked")

// renewBeside begins to exchange old while the handler runs.
func (a *Auth) renewBeside(v *visit, old refresh.Tokens) {
	if a.skipEarly() {
		return
	}
	e := &early{visit: &visit{Context: context.WithoutCancel(v.Context)}, done: make(chan struct{})}
	was := v.token
	v.early = e
	a.background.Go(func() {
		defer close(e.done)
		defer func() {
			if recover() != nil { // in a goroutine of ours it would end the whole program
				e.err = errEarlyPanic
			}
		}()
		e.err = a.renew(e.visit, old, was, "due")
		a.learnEarly(e.visit, e.err)
	})
}

// skipEarly tells a request not to ask early in a pause. When that is over, one of
// them finds out whether the provider is back; for the others the pause goes on until
// it knows, or has had the time for it.
func (a *Auth) skipEarly() bool {
	now, after := time.Now(), a.earlyAfter.Load()
	if after == 0 || now.UnixNano() < after {
		return after != 0
	}
	patience := cmp.Or(max(0, a.coordinator.Timeout), refresh.DefaultTimeout) + time.Second
	return !a.earlyAfter.CompareAndSwap(after, now.Add(max(earlyPause, patience)).UnixNano())
}

// learnEarly makes a pause, or ends it, by what a refresh that was not needed yet has
// come to. It is in vain where the provider is down, or where what it gives is due
// already, because its clock and ours are far apart. What was not asked for just now
// says nothing, nor does a refusal, which may be our own.
func (a *Auth) learnEarly(v *visit, err error) {
	switch {
	case errors.Is(err, refresh.ErrDenied), errors.Is(err, errOtherSubject), v.Err() != nil,
		err == nil && v.renewal.Remembered:
	case err != nil, a.isAlmostOver(v.token):
		a.earlyAfter.Store(time.Now().Add(earlyPause).UnixNano())
	case a.earlyAfter.Load() != 0:
		a.earlyAfter.Store(0)
	}
}

// join waits for e, unless the client of v has gone.
func (e *early) join(v *visit) error {
	select {
	case <-e.done:
		return e.err
	case <-v.Done():
		select { // it may be done as well
		case <-e.done:
			return e.err
		default:
			return v.Err()
		}
	}
}

// leave releases what e brings, now or when it is done.
func (e *early) leave() {
	release := func() {
		if e.visit.renewal != nil {
			e.visit.renewal.Release()
		}
	}
	select {
	case <-e.done:
		release()
	default:
		go func() { <-e.done; release() }() // ends with the refresh, which Close waits for
	}
}
