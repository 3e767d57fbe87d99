package sessions

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
)

// A Login is what a user may see of one of their logins.
type Login struct {
	// ID names the login to [Sessions.End]. It is no secret: nothing can be done
	// with it but that, and only for its subject. [ID] returns that of a client.
	ID string

	Session  string    // the provider's name for its session; may be empty
	Device   string    // as given at the start; may be empty
	Since    time.Time // when it began
	LastUsed time.Time // when it was last refreshed
	Ends     time.Time // when it ends if it is not refreshed before
}

func (at *stored) public() Login {
	return Login{
		ID: at.name, Session: at.Session, Device: at.Device,
		Since: time.UnixMilli(at.Since), LastUsed: time.UnixMilli(at.Used), Ends: time.UnixMilli(at.Ends),
	}
}

// List returns the logins of a subject, those used last first. A subject has
// no more than 256: where one more starts, the oldest ends.
func (s *Sessions) List(ctx context.Context, issuer, subject string) ([]Login, error) {
	if err := s.ready(); err != nil {
		return nil, err
	}
	key := subjectKey(issuer, subject)
	listed, err := s.listed(ctx, key)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	var logins []Login
	var gone []string
	for _, e := range listed {
		at, err := s.find(ctx, e.Name)
		switch {
		case err != nil:
			return nil, err
		case at != nil && at.alive(now) && at.Issuer == issuer && at.Subject == subject:
			logins = append(logins, at.public())
		case !e.young(now): // a young one may be about to start
			gone = append(gone, e.Name)
		}
	}
	if len(gone) > 0 {
		_ = s.remove(ctx, key, gone) // another look will try again
	}
	slices.SortFunc(logins, func(a, b Login) int {
		return cmp.Or(b.LastUsed.Compare(a.LastUsed), b.Since.Compare(a.Since), cmp.Compare(a.ID, b.ID))
	})
	return logins, nil
}

// End ends one login of a subject, by its [Login.ID]. It is refused from now on,
// here at once and at other replicas within CacheFor. An error that wraps
// [refresh.ErrNotFound] says that the subject has no such login.
//
// The login's tokens are sealed under a handle that only its client has. So the
// provider is told when that comes the next time, if it comes within Keep.
func (s *Sessions) End(ctx context.Context, issuer, subject, id string) error {
	if err := s.ready(); err != nil {
		return err
	}
	if len(id) != nameSize || !alphabet(id) {
		return errNoLogin
	}
	at, err := s.finish(ctx, id, whyEnded, func(at *stored) bool {
		return at.Issuer == issuer && at.Subject == subject
	})
	if at == nil && err == nil {
		return errNoLogin
	}
	return err
}

var errNoLogin = fmt.Errorf("sessions: %w: the subject has no such login", refresh.ErrNotFound)

// EndAll signs a subject out everywhere, but for the logins whose [Login.ID] is
// among except. It ends what it can, and returns the errors of the rest. What is
// said of [Sessions.End] holds for each.
func (s *Sessions) EndAll(ctx context.Context, issuer, subject string, except ...string) error {
	if err := s.ready(); err != nil {
		return err
	}
	return s.endListed(ctx, subjectKey(issuer, subject), except, func(at *stored) bool {
		return at.Issuer == issuer && at.Subject == subject
	})
}

// LogOut ends what a provider says has ended (OpenID Connect Back-Channel Logout
// 1.0): the logins of its session, the claim sid, or where session is empty all of
// the subject, that began before it said so. That is the time at, the claim iat, in
// whole seconds. A login that has begun since stays, however late the provider's word
// comes: by the provider's clock, where the access token told when it was made, else
// by ours. One that is beginning at this very moment is ended. See [Sessions.End].
func (s *Sessions) LogOut(ctx context.Context, issuer, subject, session string, at time.Time) error {
	if err := s.ready(); err != nil || subject == "" && session == "" {
		return err
	}
	before := at.Truncate(time.Second).Add(time.Second).UnixMilli() // those of the same second are older
	key, named := sessionKey(issuer, session), func(l *stored) bool { return l.Session == session }
	if session == "" {
		key, named = subjectKey(issuer, subject), func(l *stored) bool { return l.Subject == subject }
	}
	return s.endListed(ctx, key, nil, func(l *stored) bool {
		return l.Issuer == issuer && named(l) && cmp.Or(l.Issued, l.Since) < before
	})
}

func (s *Sessions) endListed(ctx context.Context, key string, except []string, meant func(*stored) bool) error {
	listed, err := s.listed(ctx, key)
	if err != nil {
		return err
	}
	var failed []error
	for _, e := range listed {
		if slices.Contains(except, e.Name) {
			continue
		}
		at, err := s.finish(ctx, e.Name, whyEnded, meant)
		if at == nil && err == nil {
			err = s.preventStart(ctx, e, meant)
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// preventStart keeps a login from starting that has been listed and has not started
// yet.
func (s *Sessions) preventStart(ctx context.Context, e listing, meant func(*stored) bool) error {
	now := time.Now()
	if !e.young(now) {
		return nil
	}
	at := stored{name: e.Name, login: login{Last: e.Ends, Ends: e.Ends, Over: now.UnixMilli(), Why: whyEnded}}
	raw, err := at.encode()
	if err != nil {
		return err
	}
	prevented, err := s.put(ctx, loginKey(e.Name), nil, raw, startTime)
	if err != nil || prevented {
		return err
	}
	// It is over, or not meant, or it has started in this moment.
	_, err = s.finish(ctx, e.Name, whyEnded, meant)
	return err
}
