package login

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/event"
)

// A logout token names a session or a subject as ID tokens do. Requests are
// authenticated by access tokens, in which both may have other names: some
// providers have no sid in them, another sub, or another issuer. So a sign-in
// records, under the names in its ID token, those in its access token.

// A loginName is how access tokens name a login. All tokens that they are
// exchanged for have the same name.
type loginName struct {
	Issuer  string `json:"iss"`
	Subject string `json:"sub,omitempty"`
	Session string `json:"sid,omitempty"` // empty: they do not name it
}

// A nameRecord is the value in the Store for a session, or for a subject whose
// access tokens name it otherwise.
type nameRecord struct {
	Subject string      `json:"sub,omitempty"`    // of a session: whose it is
	Logins  []loginName `json:"logins,omitempty"` // newest first
	Ended   int64       `json:"ended,omitempty"`  // when a logout request for it came last; Unix nanoseconds
}

const (
	// maxNames is how many names are recorded. A session has one for each API
	// whose access tokens have names of their own.
	maxNames = 8

	// namesTimeout bounds how long a sign-in waits for the Store.
	namesTimeout = 2 * time.Second

	// defaultRetainFor is how long a name is recorded: the default of
	// [middleware.Revocations].RetainFor.
	defaultRetainFor = 720 * time.Hour
)

func sessionKey(issuer, session string) string {
	return refresh.StoreKey("login.session", issuer, session)
}

func subjectKey(issuer, subject string) string {
	return refresh.StoreKey("login.subject", issuer, subject)
}

// updateNames changes the record under key by change, and returns it. A record
// without names is kept for as long as a sign-in under way may ask for it.
func (f *Flow) updateNames(ctx context.Context, key string, change func(*nameRecord)) (nameRecord, error) {
	var r nameRecord
	err := refresh.Update(ctx, f.store, key, func(old []byte) ([]byte, time.Duration, error) {
		r = nameRecord{}
		_ = json.Unmarshal(old, &r) // an unreadable value is replaced
		change(&r)
		if len(r.Logins) == 0 && r.Ended == 0 {
			return old, 0, nil // there is nothing to record
		}
		keep := attemptLife
		if len(r.Logins) > 0 {
			keep = defaultRetainFor
			if v := f.Auth.Revocations; v != nil && v.RetainFor > 0 {
				keep = v.RetainFor
			}
		}
		data, err := json.Marshal(r)
		return data, keep, err
	})
	return r, err
}

// add makes n the newest name of r.
func (r *nameRecord) add(n loginName) {
	r.Logins = slices.Insert(slices.DeleteFunc(r.Logins, func(o loginName) bool { return o == n }), 0, n)
	r.Logins = r.Logins[:min(len(r.Logins), maxNames)]
}

// noteNames records the names of a login that has just begun, so that logout
// requests of the provider find it. Since is when its tokens were asked for. If
// a logout request has come after that, it came too early to end the login, and
// is carried out again. A failure does not fail the sign-in. It is an event.
func (f *Flow) noteNames(ctx context.Context, t refresh.Tokens, since time.Time) {
	if f.Auth.Revocations == nil && f.OnLogout == nil || t.ID == "" {
		return
	}
	noting, cancel := context.WithTimeout(ctx, namesTimeout)
	defer cancel()
	if err := f.storeNames(noting, t, since); err != nil {
		f.Auth.Observe.Tell(ctx, event.Event{
			Kind: event.RevocationsFailed, Level: event.LevelOf(err), Err: fmt.Errorf("login: noting whose session it is: %w", err),
		})
	}
}

func (f *Flow) storeNames(ctx context.Context, t refresh.Tokens, since time.Time) error {
	// Both tokens have been verified before. The ID token is verified again for
	// its issuer, which at a provider with many tenants is that of the tenant.
	id, err := f.idTokens.Verify(ctx, t.ID)
	if err != nil {
		return err
	}
	access, err := f.Auth.Verifier.Verify(ctx, t.Access)
	if err != nil {
		return err
	}
	var claims map[string]json.RawMessage
	var session string
	if id.Claims(&claims) == nil {
		_ = json.Unmarshal(claims["sid"], &session) // a sid that is no string is none
	}
	n := loginName{access.Issuer, access.Subject, access.Session}
	if n.Issuer == "" { // of an opaque token
		n.Issuer = id.Issuer
	}
	ended := false
	if session != "" {
		r, err := f.updateNames(ctx, sessionKey(id.Issuer, session), func(r *nameRecord) {
			r.Subject = id.Subject
			r.add(n)
		})
		if err != nil {
			return err
		}
		ended = r.endedSince(since)
	}
	r, err := f.updateNames(ctx, subjectKey(id.Issuer, id.Subject), func(r *nameRecord) {
		if n.Subject != "" && (n.Issuer != id.Issuer || n.Subject != id.Subject) {
			r.add(loginName{Issuer: n.Issuer, Subject: n.Subject})
		}
	})
	if err != nil {
		return err
	}
	if !ended && !r.endedSince(since) {
		return nil
	}
	l := Logout{Issuer: n.Issuer, Subject: n.Subject, Session: session, Time: time.Now()}
	return f.endLogin(ctx, l, n, f.cutOff(l.Time))
}

// endedSince reports whether a logout request came after a time.
func (r *nameRecord) endedSince(at time.Time) bool { return r.Ended > at.UnixNano() }

// markEnded records that a logout request has come, and returns the record.
func (f *Flow) markEnded(ctx context.Context, key string) (nameRecord, error) {
	r, err := f.updateNames(ctx, key, func(r *nameRecord) { r.Ended = max(r.Ended, time.Now().UnixNano()) })
	if err != nil {
		return r, fmt.Errorf("login: whose session it is: %w", err)
	}
	return r, nil
}
