package login

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/event"
)

// rememberSubject records the subject of the session of a login whose access
// tokens have no claim sid, so that a logout by sid alone finds the login. A
// failure does not fail the sign-in. It is an event.
func (f *Flow) rememberSubject(ctx context.Context, t refresh.Tokens) {
	err := f.storeSubject(ctx, t)
	if err != nil {
		f.Auth.Observe.Tell(ctx, event.Event{
			Kind: event.RevocationsFailed, Level: event.LevelOf(err), Err: fmt.Errorf("login: noting whose session it is: %w", err),
		})
	}
}

func (f *Flow) storeSubject(ctx context.Context, t refresh.Tokens) error {
	if f.Auth.Revocations == nil || t.ID == "" {
		return nil
	}
	// The ID token has been verified before. It is verified again for its
	// issuer, which at a provider with many tenants is that of the tenant.
	id, err := f.idTokens.Verify(ctx, t.ID)
	if err != nil {
		return err
	}
	var claims map[string]json.RawMessage
	var session string
	if id.Claims(&claims) != nil || json.Unmarshal(claims["sid"], &session) != nil || session == "" {
		return nil
	}
	access, err := f.Auth.Verifier.Verify(ctx, t.Access)
	if err != nil || access.Session == session {
		return err
	}
	keep := f.Auth.Revocations.RetainFor
	if keep <= 0 {
		keep = defaultSubjectTTL
	}
	return refresh.Update(ctx, f.store, subjectKey(id.Issuer, session), func([]byte) ([]byte, time.Duration, error) {
		return []byte(id.Subject), keep, nil
	})
}

func subjectKey(issuer, session string) string {
	return refresh.StoreKey("login.session", issuer, session)
}

// defaultSubjectTTL is how long a subject is recorded: the default of
// [middleware.Revocations].RetainFor.
const defaultSubjectTTL = 720 * time.Hour

// subjectOf returns the subject that rememberSubject has recorded for a
// session, or "".
func (f *Flow) subjectOf(ctx context.Context, l Logout) (string, error) {
	subject, err := f.store.Get(ctx, subjectKey(l.Issuer, l.Session))
	switch {
	case errors.Is(err, refresh.ErrNotFound):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("login: whose session it is: %w", err)
	case l.Subject != "" && l.Subject != string(subject):
		return "", nil // the logout token names another subject, and counts
	}
	return string(subject), nil
}
