package local

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
)

// A login is what the Store holds of one, under its ID. A refresh token is
// "<login ID>.<secret>"; only the hash of the current secret is kept, and the
// ID alone is good for nothing. A secret of 256 random bits needs no salt and
// no slow hash.
type login struct {
	Subject string    `json:"sub"`
	Hash    []byte    `json:"hash"` // SHA-256
	Ends    time.Time `json:"ends"`
}

// tries bounds how often a change is made again because another came first.
const tries = 4

// errBusy is temporary.
var errBusy = errors.New("local: the login is being changed by others")

// Login starts a login of subject, a name that never changes and is never
// given to another user. The caller has made sure that it is them.
func (i *Issuer) Login(ctx context.Context, subject string) (refresh.Tokens, error) {
	if err := i.ready(); err != nil {
		return refresh.Tokens{}, err
	}
	if subject == "" {
		return refresh.Tokens{}, errors.New("local: the subject is empty")
	}
	access, ends, err := i.access(ctx, subject)
	if err != nil {
		return refresh.Tokens{}, err
	}
	l := login{Subject: subject, Ends: time.Now().Add(i.refreshLife)}
	id := rand.Text()
	secret := l.renew()
	if ok, err := i.store.Swap(ctx, key(id), nil, l.encode(), i.refreshLife); err != nil {
		return refresh.Tokens{}, fmt.Errorf("local: keeping the login: %w", err)
	} else if !ok {
		return refresh.Tokens{}, errBusy // the ID is taken: it was not random
	}
	return refresh.Tokens{Access: access, Refresh: id + "." + secret, Expiry: ends, RefreshExpiry: l.Ends}, nil
}

// Refresh gives a login new tokens. A refresh token that is not the login's
// current one ends the login, because someone else has used it; a store that
// does not answer leaves everything as it is.
func (i *Issuer) Refresh(ctx context.Context, old refresh.Tokens) (refresh.Tokens, error) {
	if err := i.ready(); err != nil {
		return refresh.Tokens{}, err
	}
	id, secret, ok := parse(old.Refresh)
	if !ok {
		return refresh.Tokens{}, fmt.Errorf("local: %w: this is no refresh token of ours", refresh.ErrDenied)
	}
	for range tries {
		if t, done, err := i.rotate(ctx, id, secret); done || err != nil {
			t.ID = old.ID
			return t, err
		}
	}
	return refresh.Tokens{}, errBusy
}

// rotate makes one attempt at a refresh. It is not done where somebody else
// changed the login meanwhile.
func (i *Issuer) rotate(ctx context.Context, id, secret string) (t refresh.Tokens, done bool, err error) {
	stored, l, err := i.load(ctx, id)
	if err != nil {
		return t, false, err
	}
	if !l.has(secret) {
		done, err = i.end(ctx, id, stored, fmt.Errorf("local: %w: its refresh token has been used before", refresh.ErrDenied))
		return t, done, err
	}
	// Signed first, so that a failure spends nothing.
	access, expiry, err := i.access(ctx, l.Subject)
	switch {
	case errors.Is(err, refresh.ErrDenied):
		done, err = i.end(ctx, id, stored, err)
		return t, done, err
	case err != nil:
		return t, false, err
	}
	next := l.renew()
	done, err = i.store.Swap(ctx, key(id), stored, l.encode(), time.Until(l.Ends))
	switch {
	case err != nil:
		return t, false, fmt.Errorf("local: keeping the login: %w", err)
	case !done:
		return t, false, nil
	}
	return refresh.Tokens{Access: access, Refresh: id + "." + next, Expiry: expiry, RefreshExpiry: l.Ends}, true, nil
}

// Revoke ends a login. Any refresh token that the login ever had will do; one
// that is not known is as good as revoked.
func (i *Issuer) Revoke(ctx context.Context, t refresh.Tokens) error {
	if err := i.ready(); err != nil {
		return err
	}
	id, _, ok := parse(t.Refresh)
	if !ok {
		return nil
	}
	for range tries {
		stored, _, err := i.load(ctx, id)
		switch {
		case errors.Is(err, refresh.ErrDenied):
			return nil
		case err != nil:
			return err
		}
		if done, err := i.end(ctx, id, stored, nil); done || err != nil {
			return err
		}
	}
	return errBusy
}

// end removes a login that is still as stored, and then returns why.
func (i *Issuer) end(ctx context.Context, id string, stored []byte, why error) (done bool, err error) {
	done, err = i.store.Swap(ctx, key(id), stored, nil, 0)
	switch {
	case err != nil:
		return false, fmt.Errorf("local: ending the login: %w", err)
	case !done:
		return false, nil
	}
	return true, why
}

// load returns a login, and as the bytes that it is in the Store. One that is
// not there, or past its end, is denied.
func (i *Issuer) load(ctx context.Context, id string) ([]byte, login, error) {
	var l login
	stored, err := i.store.Get(ctx, key(id))
	switch {
	case errors.Is(err, refresh.ErrNotFound):
		return nil, l, fmt.Errorf("local: %w", refresh.ErrDenied)
	case err != nil:
		return nil, l, fmt.Errorf("local: looking for the login: %w", err)
	case json.Unmarshal(stored, &l) != nil:
		return nil, l, errors.New("local: the store holds something else under the login's key")
	case !time.Now().Before(l.Ends):
		return nil, l, fmt.Errorf("local: %w", refresh.ErrDenied)
	}
	return stored, l, nil
}

// renew gives the login a new secret and returns it.
func (l *login) renew() string {
	var random [32]byte
	rand.Read(random[:]) // never fails
	secret := base64.RawURLEncoding.EncodeToString(random[:])
	sum := sha256.Sum256([]byte(secret))
	l.Hash = sum[:]
	return secret
}

func (l *login) has(secret string) bool {
	sum := sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(sum[:], l.Hash) == 1
}

func (l *login) encode() []byte {
	b, err := json.Marshal(l)
	if err != nil {
		panic(err) // a string, bytes and a time of this century
	}
	return b
}

func key(id string) string { return "local.login." + id }

// parse takes a refresh token apart. The lengths are exact, so that nothing of
// a caller's choice becomes a key of the Store.
func parse(token string) (id, secret string, ok bool) {
	const idLength, secretLength = 26, 43
	id, secret, ok = strings.Cut(token, ".")
	ok = ok && len(id) == idLength && len(secret) == secretLength &&
		strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
	return id, secret, ok
}
