package login

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh/event"
)

// A Logout is what a provider says has ended: a session, or all of a subject's.
type Logout struct {
	Issuer  string
	Subject string    // may be empty where Session is not
	Session string    // the claim sid; empty: all sessions of the subject
	Time    time.Time // when the provider said so, in whole seconds
}

// BackChannel returns the handler of the logout requests that the provider
// sends by itself, when its user has signed out there or at another site
// (OpenID Connect Back-Channel Logout 1.0). Its URL is to be registered with
// the provider as backchannel_logout_uri.
//
// It ends what the logout token names, by Auth.Revocations: the login with the
// token's sid, or without one all logins of its sub, that began before the
// logout. Then OnLogout is called. Access tokens without a sid cannot be told
// apart by it; so where a login has such, Callback notes in Store whose session
// it is, and all logins of that user end.
//
// A logout token is taken once, and for five minutes from its iat. The answer is
// 200, or 400 with a JSON error if it is not good or the logout could not be
// carried out (section 2.8): a provider may send it again then, and with
// temporarily_unavailable it should. Auth.Observe hears of each request:
// [event.BackChannelLogout].
//
// BackChannel panics if f is not valid, or if there is nothing that a logout
// could end: neither Auth.Revocations nor OnLogout; or if LogoutTokens is nil
// and Client.Discovery, which would find the keys, as well.
func (f *Flow) BackChannel() http.Handler {
	f.mustBeValid()
	if f.Auth.Revocations == nil && f.OnLogout == nil {
		panic(errors.New("login: BackChannel needs Auth.Revocations or Flow.OnLogout"))
	}
	if f.logoutTokens == nil {
		panic(errors.New("login: BackChannel needs Flow.LogoutTokens or Client.Discovery"))
	}
	return only(http.MethodPost, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		// The provider may give up; what it has asked for is done nevertheless.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), f.timeout())
		defer cancel()
		l, err := f.logOut(ctx, w, r)
		f.Auth.Observe.Tell(ctx, event.Event{
			Kind: event.BackChannelLogout, Level: event.LevelOf(err), Err: err, Issuer: l.Issuer, Subject: l.Subject,
		})
		answerLogout(w, err)
	})
}

// answerLogout says no more than whether trying again makes sense.
func answerLogout(w http.ResponseWriter, err error) {
	if err == nil {
		w.WriteHeader(http.StatusOK)
		return
	}
	answer := struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}{"invalid_request", "the logout token is not good, or has been used"}
	if !errors.Is(err, errLogout) {
		answer.Error, answer.Description = "temporarily_unavailable", "the logout could not be carried out just now"
		w.Header().Set("Retry-After", "1")
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(answer)
}

func (f *Flow) logOut(ctx context.Context, w http.ResponseWriter, r *http.Request) (Logout, error) {
	raw, err := logoutToken(w, r)
	if err != nil {
		return Logout{}, err
	}
	t, err := f.logoutTokens.Verify(ctx, raw)
	switch {
	case errors.Is(err, verify.ErrInvalid), errors.Is(err, verify.ErrExpired):
		return Logout{}, fmt.Errorf("%w: %w", errLogout, err)
	case err != nil:
		return Logout{}, fmt.Errorf("login: the logout token could not be checked: %w", err)
	}
	l, err := f.readLogout(t)
	if err != nil {
		return Logout{}, err
	}
	once, err := f.takeOnce(ctx, t)
	if err != nil {
		return l, err
	}
	if err := f.end(ctx, l); err != nil {
		once.undo(ctx)
		return l, err
	}
	return l, nil
}

// end ends what l names.
func (f *Flow) end(ctx context.Context, l Logout) error {
	if v := f.Auth.Revocations; v != nil {
		// Tokens tell their age in whole seconds: those of this second are older.
		before := l.Time.Truncate(time.Second).Add(time.Second)
		subject := l.Subject
		if l.Session != "" {
			if err := v.RevokeLogin(ctx, l.Issuer, l.Session, before); err != nil {
				return fmt.Errorf("login: %w", err)
			}
			var err error
			if subject, err = f.noted(ctx, l); err != nil {
				return err
			}
		}
		if subject != "" {
			if err := v.RevokeSubject(ctx, l.Issuer, subject, before); err != nil {
				return fmt.Errorf("login: %w", err)
			}
		}
	}
	if f.OnLogout == nil {
		return nil
	}
	if err := f.OnLogout(ctx, l); err != nil {
		return fmt.Errorf("login: OnLogout: %w", err)
	}
	return nil
}
