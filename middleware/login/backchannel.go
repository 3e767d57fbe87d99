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
	Issuer  string    // of the access tokens, as are Subject and Session
	Subject string    // may be empty where Session is not
	Session string    // the claim sid; empty: all sessions of the subject
	Time    time.Time // when the provider said so, in whole seconds

	// SessionUnknown says that no login with this Session is known here: it
	// began long ago, or before the Store has lost its values. Then all
	// sessions of the Subject are meant, if there is one.
	SessionUnknown bool
}

// BackChannel returns the handler for the logout requests that the provider
// sends to the server when its user has signed out there or at another site
// (OpenID Connect Back-Channel Logout 1.0). Its URL must be registered with the
// provider as backchannel_logout_uri.
//
// The handler revokes logins by Auth.Revocations: the login with the logout
// token's sid, or, if it has none, all logins of its sub. Only logins that
// began before the logout end. Then it calls OnLogout.
//
// Callback has recorded in Store how the access tokens of each session name it.
// If they have no claim sid, all logins of the subject end. So they do if
// nothing is recorded of the sid. A logout token with such a sid and no sub ends
// nothing, and is refused, unless there is an OnLogout.
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

// errSessionUnknown is the error of a logout request that ends nothing.
var errSessionUnknown = fmt.Errorf("%w: its sid is not known here, and it has no sub", errLogout)

// end ends the logins that l names.
func (f *Flow) end(ctx context.Context, l Logout) error {
	before := f.cutOff(l.Time)
	if l.Session == "" {
		return f.endSubject(ctx, l, before)
	}
	// That a logout has come is recorded first, and then it is carried out. A
	// sign-in under way does both the other way round, so that one of the two
	// finds the other: see noteNames.
	r, err := f.markEnded(ctx, sessionKey(l.Issuer, l.Session))
	if err != nil {
		return err
	}
	if err := f.revoke(ctx, loginName{l.Issuer, "", l.Session}, before); err != nil {
		return err
	}
	if len(r.Logins) > 0 && (l.Subject == "" || l.Subject == r.Subject) {
		for _, n := range r.Logins {
			if err := f.endLogin(ctx, l, n, before); err != nil {
				return err
			}
		}
		return nil
	}
	l.SessionUnknown = true
	switch {
	case l.Subject != "":
		return f.endSubject(ctx, l, before)
	case f.OnLogout == nil:
		return errSessionUnknown
	}
	return f.tellLogout(ctx, l)
}

// endSubject ends all logins of l's subject, under the names that access tokens
// have for it.
func (f *Flow) endSubject(ctx context.Context, l Logout, before time.Time) error {
	r, err := f.markEnded(ctx, subjectKey(l.Issuer, l.Subject))
	if err != nil {
		return err
	}
	for _, n := range append([]loginName{{Issuer: l.Issuer, Subject: l.Subject}}, r.Logins...) {
		if err := f.revoke(ctx, n, before); err != nil {
			return err
		}
		l.Issuer, l.Subject = n.Issuer, n.Subject
		if err := f.tellLogout(ctx, l); err != nil {
			return err
		}
	}
	return nil
}

// endLogin ends the login n, of the session that l names.
func (f *Flow) endLogin(ctx context.Context, l Logout, n loginName, before time.Time) error {
	if f.OnLogout == nil && n.Session == "" && n.Subject == "" {
		return fmt.Errorf("%w: the access tokens of its session have neither sid nor sub", errLogout)
	}
	if err := f.revoke(ctx, n, before); err != nil {
		return err
	}
	l.Issuer = n.Issuer
	if l.Subject != "" && n.Subject != "" {
		l.Subject = n.Subject
	}
	if n.Session != "" {
		l.Session = n.Session
	}
	return f.tellLogout(ctx, l)
}

// revoke revokes a login, or all logins of a subject if it names no session.
func (f *Flow) revoke(ctx context.Context, n loginName, before time.Time) error {
	v := f.Auth.Revocations
	var err error
	switch {
	case v == nil:
	case n.Session != "":
		err = v.RevokeLogin(ctx, n.Issuer, n.Session, before)
	case n.Subject != "":
		err = v.RevokeSubject(ctx, n.Issuer, n.Subject, before)
	}
	if err != nil {
		return fmt.Errorf("login: %w", err)
	}
	return nil
}

// tellLogout calls OnLogout.
func (f *Flow) tellLogout(ctx context.Context, l Logout) error {
	if f.OnLogout == nil {
		return nil
	}
	if err := f.OnLogout(ctx, l); err != nil {
		return fmt.Errorf("login: OnLogout: %w", err)
	}
	return nil
}

// cutOff returns a time after which logins have begun that a logout at a time,
// the iat of its token, does not end. Times in tokens are whole seconds: of the
// same second, what has begun by now counts as older. If our clock is in
// another second, all that has begun in that one does. Of two cut-offs in a
// second the second one is later, so that it ends what began between them.
func (f *Flow) cutOff(at time.Time) time.Time {
	start := at.Truncate(time.Second)
	before := start.Add(time.Second)
	if now := time.Now(); !now.Before(start) && now.Before(before) {
		before = now.Add(1)
		if at.After(now) {
			before = at.Add(1)
		}
	}
	for {
		last := f.lastCutOff.Load()
		if ahead := last - before.UnixNano(); ahead >= 0 && ahead < int64(time.Second) {
			before = time.Unix(0, last+1)
		}
		if f.lastCutOff.CompareAndSwap(last, before.UnixNano()) {
			return before
		}
	}
}
