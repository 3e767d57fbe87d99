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

// A Logout is a session that a provider has ended, or all sessions of a
// subject.
type Logout struct {
	Issuer  string
	Subject string    // may be empty where Session is not
	Session string    // the claim sid; empty: all sessions of the subject
	Time    time.Time // when the provider said so, in whole seconds
}

// BackChannel returns the handler for the logout requests that the provider
// sends to the server when its user has signed out there or at another site
// (OpenID Connect Back-Channel Logout 1.0). Its URL must be registered with the
// provider as backchannel_logout_uri.
//
// The handler revokes logins by Auth.Revocations: the login with the logout
// token's sid, or, if it has none, all logins of its sub. Only logins that
// began before the logout end. Then it calls OnLogout. Where access tokens have
// no claim sid, Callback has recorded the session's subject in Store, and all
// logins of that subject end.
//
// A logout token is good once, and for five minutes from its iat. The answer is
// 200, or 400 with a JSON error if the token is not good or the logout failed
// (section 2.8). With the error temporarily_unavailable, the provider should
// send it again. Each request is an [event.BackChannelLogout] for Auth.Observe.
//
// BackChannel panics if f is not valid, if both Auth.Revocations and OnLogout
// are nil, or if both LogoutTokens and Client.Discovery are.
func (f *Flow) BackChannel() http.Handler {
	f.mustBeValid()
	if f.Auth.Revocations == nil && f.OnLogout == nil {
		panic(errors.New("login: BackChannel needs Auth.Revocations or Flow.OnLogout"))
	}
	if f.logoutTokens == nil {
		panic(errors.New("login: BackChannel needs Flow.LogoutTokens or Client.Discovery"))
	}
	return allowOnly(http.MethodPost, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		// The provider may hang up. The logout is carried out all the same.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), f.timeout())
		defer cancel()
		l, err := f.logOut(ctx, w, r)
		f.Auth.Observe.Tell(ctx, event.Event{
			Kind: event.BackChannelLogout, Level: event.LevelOf(err), Err: err, Issuer: l.Issuer, Subject: l.Subject,
		})
		answerLogout(w, err)
	})
}

// answerLogout writes the answer. Of an error it tells only whether the
// provider should try again.
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
	mark, err := f.markTokenUsed(ctx, t)
	if err != nil {
		return l, err
	}
	if err := f.end(ctx, l); err != nil {
		mark.undo(ctx)
		return l, err
	}
	return l, nil
}

// end revokes the logins that l names, and calls OnLogout.
func (f *Flow) end(ctx context.Context, l Logout) error {
	if v := f.Auth.Revocations; v != nil {
		// Times in tokens are whole seconds. Tokens of the same second count as
		// older than the logout.
		before := l.Time.Truncate(time.Second).Add(time.Second)
		subject := l.Subject
		if l.Session != "" {
			if err := v.RevokeLogin(ctx, l.Issuer, l.Session, before); err != nil {
				return fmt.Errorf("login: %w", err)
			}
			var err error
			if subject, err = f.subjectOf(ctx, l); err != nil {
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
