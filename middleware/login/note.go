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

// note keeps whose session this is, for a login whose access tokens do not name
// it. The sign-in goes on without, and Observe is told: then a logout by sid
// alone does not reach the login.
func (f *Flow) note(ctx context.Context, t refresh.Tokens) {
	err := f.keepNote(ctx, t)
	if err != nil {
		f.Auth.Observe.Tell(ctx, event.Event{
			Kind: event.RevocationsFailed, Level: event.LevelOf(err), Err: fmt.Errorf("login: noting whose session it is: %w", err),
		})
	}
}

func (f *Flow) keepNote(ctx context.Context, t refresh.Tokens) error {
	if f.Auth.Revocations == nil || t.ID == "" {
		return nil
	}
	// Once more, as it has been verified: of a provider with many tenants, the
	// issuer is the tenant's.
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
		keep = defaultNoteKept
	}
	return refresh.Update(ctx, f.store, noteKey(id.Issuer, session), func([]byte) ([]byte, time.Duration, error) {
		return []byte(id.Subject), keep, nil
	})
}

func noteKey(issuer, session string) string {
	return refresh.StoreKey("login.session", issuer, session)
}

// defaultNoteKept is the default of [middleware.Revocations].RetainFor.
const defaultNoteKept = 720 * time.Hour

// noted returns the subject of a session that note has kept, or "".
func (f *Flow) noted(ctx context.Context, l Logout) (string, error) {
	subject, err := f.store.Get(ctx, noteKey(l.Issuer, l.Session))
	switch {
	case errors.Is(err, refresh.ErrNotFound):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("login: whose session it is: %w", err)
	case l.Subject != "" && l.Subject != string(subject):
		return "", nil // the provider knows better
	}
	return string(subject), nil
}
