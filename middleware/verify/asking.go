package verify

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/tokenlife/tokenlife/internal/describe"
	"github.com/tokenlife/tokenlife/refresh/event"
)

const (
	maxStrangers = 1024        // strangers' tokens that are asked about, or wait for it
	maxOthers    = 16 << 10    // the same of others
	maxFailures  = 5           // in a row, after which a pause begins
	failurePause = time.Second // in which only strangers' tokens are asked about
)

var (
	errTooMany  = errors.New("too many tokens are asked about")
	errAskPanic = errors.New("what asks the provider panicked")
	errTelling  = errors.New("the call failed (its error has a piece of the token)")
)

// An asking is one call about a token, and the requests that wait for it.
type asking struct {
	flight
	finding *finding // set before done is closed, if err is nil
}

// join returns the call about raw that is under way, or begins one. If there is
// a finding by now, or there may be no call, it returns that instead. s is nil
// for an unknown token.
func (a *answers) join(raw string, s *standing, now time.Time) (*asking, *finding, error) {
	id := digest(raw, numberedHeader{})
	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.flying[id]
	if f == nil {
		// A call may have ended since the caller looked.
		if s == nil {
			s, _ = a.known.Get(id)
		}
		if s != nil {
			if v := s.latest.Load(); v.holds(now, a.leeway) {
				return nil, v, nil
			}
		} else if v, ok := a.refused.Get(id); ok && now.Before(v.until) {
			return nil, v, nil
		}
		from := strangers
		if s != nil || a.expected.Contains(id) {
			from = others
		}
		if err := a.mayAsk(from, now); err != nil {
			if v := a.extend(s, now); v != nil {
				return nil, v, nil
			}
			return nil, nil, err
		}
		f = &asking{flight: flight{done: make(chan struct{})}}
		a.flying[id] = f
		a.waiting[from]++
		raw = strings.Clone(raw) // a piece of a request's header
		a.group.Go(func() { a.run(f, id, raw, s, from) })
	}
	if !f.join() {
		return nil, nil, errTooMany
	}
	return f, nil, nil
}

// An origin says who may have made up a token.
type origin int

const (
	strangers origin = iota // anybody
	others                  // nobody: it has been good, or is expected
)

// mayAsk returns an error if there is to be no call now. mu is held.
func (a *answers) mayAsk(from origin, now time.Time) error {
	switch {
	case a.closed:
		return errClosed
	case a.waiting[strangers] >= maxStrangers && from == strangers, a.waiting[others] >= maxOthers && from == others:
		return errTooMany
	case from == others && a.failures >= maxFailures:
		if now.Before(a.probeAt) {
			return a.failure
		}
		a.probeAt = now.Add(failurePause)
	}
	return nil
}

// run makes the call f about raw, and stores what comes of it.
func (a *answers) run(f *asking, id [sha256.Size]byte, raw string, s *standing, from origin) {
	v, err := a.call(raw, from)
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.flying, id)
	a.waiting[from]--
	now := time.Now()
	if from == others {
		a.count(err, now)
	}
	if err == nil {
		v = a.store(id, s, v)
	} else if v = a.extend(s, now); v != nil {
		err = nil
	}
	f.finding, f.err = v, err
	close(f.done)
}

// count counts failures in a row of calls about tokens that no stranger has
// made up, who could add to them. Nor can a user add to them by an answer about
// his own token that cannot be used. mu is held.
func (a *answers) count(err error, now time.Time) {
	if u, ok := err.(*unavailable); err == nil || ok && u.answered {
		a.failures = 0
		return
	}
	a.failures++
	a.failure, a.probeAt = err, now.Add(failurePause)
}

// store stores v, an answer about the token with the standing s, and returns
// what it means for the token. mu is held.
func (a *answers) store(id [sha256.Size]byte, s *standing, v *finding) *finding {
	if s == nil && errors.Is(v.err, ErrInvalid) {
		a.refused.Add(id, v)
		return v
	}
	if s == nil {
		s = new(standing)
	} else if old := s.latest.Load(); errors.Is(v.err, errInactive) && old.token.Issuer != "" {
		// The provider has said whose token it was, which is still true.
		v = &finding{token: old.token, err: errOver, until: v.until}
	}
	s.latest.Store(v)
	a.known.Add(id, s)
	a.refused.Remove(id)
	return v
}

// extend extends the finding of s, as the provider cannot be asked now. It
// returns nil if there is no good one, or not for so long. mu is held.
func (a *answers) extend(s *standing, now time.Time) *finding {
	if s == nil {
		return nil
	}
	old := s.latest.Load()
	if old.err != nil || !now.Before(old.limit) || !old.token.Expiry.IsZero() && !now.Before(old.token.Expiry) {
		return nil
	}
	v := *old
	if v.until = now.Add(failurePause); v.until.After(v.limit) {
		v.until = v.limit
	}
	s.latest.Store(&v)
	return &v
}

// call asks the provider about raw, and reads its answer. An error says that
// this has failed.
func (a *answers) call(raw string, from origin) (*finding, error) {
	leave, err := a.enter(from)
	if err != nil {
		return nil, err
	}
	defer leave()
	ctx, cancel := context.WithTimeout(a.ctx, a.timeout)
	defer cancel()
	begin := time.Now()
	v := &finding{until: begin.Add(a.remember)}
	v.token, v.err = a.try(ctx, raw)
	e := event.Event{Kind: event.TokenAsked, Level: slog.LevelDebug, Issuer: a.issuer, Took: time.Since(begin)}
	switch {
	case v.err == nil:
		v.limit = v.until.Add(max(0, a.stale))
	case errors.Is(v.err, ErrInvalid):
		v.token, v.until = Token{}, time.Now().Add(refusedFor)
	case !errors.Is(v.err, ErrExpired):
		e.Level, e.Err = slog.LevelWarn, a.unavailable(v.err)
	}
	if a.ctx.Err() != nil {
		return nil, a.unavailable(errClosed) // Close has cut it short
	}
	a.fallback.For(a.observe).Tell(ctx, e)
	if e.Err != nil {
		return nil, e.Err
	}
	return v, nil
}

// enter waits until a call may be made.
func (a *answers) enter(from origin) (leave func(), err error) {
	timeout := time.NewTimer(a.timeout)
	defer timeout.Stop()
	var entered []chan struct{}
	leave = func() {
		for _, gate := range entered {
			<-gate
		}
	}
	gates := []chan struct{}{a.strangers, a.calls}
	if from == others {
		gates = gates[1:]
	}
	for _, gate := range gates {
		select {
		case gate <- struct{}{}:
			entered = append(entered, gate)
			continue
		case <-timeout.C:
			err = errTooMany
		case <-a.ctx.Done():
			err = errClosed
		}
		leave()
		return nil, err
	}
	return leave, nil
}

// try is askAndRead. It guards the program from a panic of Ask or Check, whose
// value may hold anything, and the logs from an error that has a piece of the
// token.
func (a *answers) try(ctx context.Context, raw string) (t Token, err error) {
	defer func() {
		if recover() != nil {
			t, err = Token{}, answeredError{errAskPanic}
		}
	}()
	t, err = a.askAndRead(ctx, raw)
	if err != nil && describe.Repeats(err.Error(), raw) && !errors.Is(err, ErrInvalid) {
		return Token{}, errTelling
	}
	return t, err
}

func (a *answers) askAndRead(ctx context.Context, raw string) (t Token, err error) {
	body, contentType, err := a.ask(ctx, raw)
	if err != nil {
		return t, err
	}
	if len(body) > maxAnswer {
		return t, answeredError{errTooLarge}
	}
	t, err = a.read(ctx, body, contentType, time.Now())
	if err == nil || errors.Is(err, ErrInvalid) || errors.Is(err, ErrExpired) {
		return t, err
	}
	return t, answeredError{err}
}

// An unavailable is the error of a token that could not be asked about. It
// wraps no error of Ask, which may itself wrap one that means something else of
// a token here, or for the login: it shows the types in its chain alone.
type unavailable struct {
	text     string
	err      error
	answered bool // the error is an answeredError
}

// An answeredError is a failure of one call that says nothing of those about
// other tokens, as the provider has answered it.
type answeredError struct{ error }

func (e answeredError) Unwrap() error { return e.error }

func (a *answers) unavailable(err error) error {
	if u, ok := err.(*unavailable); ok {
		return u
	}
	_, answered := errors.AsType[answeredError](err)
	return &unavailable{"verify: " + a.what + ": " + err.Error(), err, answered}
}

func (e *unavailable) Error() string      { return e.text }
func (e *unavailable) As(target any) bool { return errors.As(e.err, target) }
func (e *unavailable) Is(target error) bool {
	return (target == context.Canceled || target == context.DeadlineExceeded) && errors.Is(e.err, target)
}
