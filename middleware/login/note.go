package login

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/refresh"
)

// note keeps whose session this is, for a login whose access tokens do not name
// it. The sign-in goes on without, and Observe is told: then a logout by sid
// alone does not reach the login.
func (f *Flow) note(ctx context.Context, t refresh.Tokens) {
	err := f.keepNote(ctx, t)
	if err != nil {
		f.observe(ctx, middleware.Event{
			Kind: middleware.RevocationsFailed, Err: fmt.Errorf("login: noting whose session it is: %w", err),
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
	keep := f.Auth.Revocations.Keep
	if keep <= 0 {
		keep = defaultNoteKept
	}
	key := storeKey("login-session", id.Issuer, session)
	for range noteTries {
		old, err := f.store.Get(ctx, key)
		if err != nil && !errors.Is(err, refresh.ErrNotFound) {
			return err
		}
		if ok, err := f.store.Swap(ctx, key, old, []byte(id.Subject), keep); ok || err != nil {
			return err
		}
	}
	return errors.New("the store is too busy")
}

const (
	// defaultNoteKept is the default of [middleware.Revocations].Keep.
	defaultNoteKept = 720 * time.Hour
	noteTries       = 4
)

// noted returns the subject of a session that note has kept, or "".
func (f *Flow) noted(ctx context.Context, l Logout) (string, error) {
	subject, err := f.store.Get(ctx, storeKey("login-session", l.Issuer, l.Session))
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

// storeKey keeps names out of a Store's keys.
func storeKey(kind, issuer, name string) string {
	sum := sha256.Sum256([]byte(kind + "\x00" + issuer + "\x00" + name))
	return kind + "/" + base64.RawURLEncoding.EncodeToString(sum[:])
}
