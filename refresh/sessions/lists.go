package sessions

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/event"
)

// The logins of a subject are listed under a key of their own, and so are those of a
// provider's session. A list is changed when a login starts or is ended, and not
// when it is refreshed. It may name logins that are over: the login's record
// decides.

// A listing names a login in a list.
type listing struct {
	Name  string `json:"n"`
	Since int64  `json:"s"`
	Ends  int64  `json:"e"` // at the latest
}

// maxListed is how many logins one subject has. A list of so many takes a
// quarter of what a Store takes.
const maxListed = 256

// startTime is how long a login may have been listed without having started.
const startTime = time.Minute

func (e listing) young(now time.Time) bool {
	return now.Sub(time.UnixMilli(e.Since)) < startTime
}

func subjectKey(issuer, subject string) string {
	return refresh.StoreKey("sessions.subject", issuer, subject)
}

func sessionKey(issuer, session string) string {
	return refresh.StoreKey("sessions.session", issuer, session)
}

// keys returns the lists that a login is in.
func (l *login) keys() []string {
	keys := []string{subjectKey(l.Issuer, l.Subject)}
	if l.Session != "" {
		keys = append(keys, sessionKey(l.Issuer, l.Session))
	}
	return keys
}

// list puts a login that is about to start into its lists. Where a list is full, it
// ends the oldest login in it.
func (s *Sessions) list(ctx context.Context, name string, l *login) error {
	e := listing{Name: name, Since: l.Since, Ends: l.Last}
	for _, key := range l.keys() {
		var displaced []listing
		err := s.relist(ctx, key, func(listed []listing) []listing {
			// In the order of their starts, so that the oldest are in front.
			listed = append(slices.DeleteFunc(listed, func(o listing) bool { return o.Name == name }), e)
			over := max(0, len(listed)-maxListed)
			displaced = slices.Clone(listed[:over])
			return listed[over:]
		})
		if err != nil {
			return err
		}
		for _, old := range displaced {
			if err := s.displace(ctx, old.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Sessions) displace(ctx context.Context, name string) error {
	at, err := s.finish(ctx, name, whyEnded, func(*stored) bool { return true })
	if at != nil {
		s.observe(ctx, event.LoginDisplaced, at)
	}
	return err
}

// delist takes a login that is over out of its lists. Where that fails, the next
// look at the list removes it.
func (s *Sessions) delist(ctx context.Context, at *stored) {
	for _, key := range at.keys() {
		_ = s.remove(ctx, key, []string{at.name})
	}
}

// remove takes logins out of a list.
func (s *Sessions) remove(ctx context.Context, key string, names []string) error {
	return s.relist(ctx, key, func(listed []listing) []listing {
		return slices.DeleteFunc(listed, func(e listing) bool { return slices.Contains(names, e.Name) })
	})
}

func (s *Sessions) listed(ctx context.Context, key string) ([]listing, error) {
	raw, err := s.get(ctx, key)
	if raw == nil || err != nil {
		return nil, err
	}
	return decodeList(raw)
}

func decodeList(raw []byte) (listed []listing, err error) {
	if raw != nil && json.Unmarshal(raw, &listed) != nil {
		return nil, errUnreadable
	}
	return listed, nil
}

// relist replaces a list by what change makes of it, less what has expired.
func (s *Sessions) relist(ctx context.Context, key string, change func([]listing) []listing) error {
	return refresh.Update(ctx, s.store, key, func(old []byte) ([]byte, time.Duration, error) {
		listed, err := decodeList(old)
		if err != nil {
			return nil, 0, err
		}
		now := time.Now()
		listed = change(slices.DeleteFunc(listed, func(e listing) bool { return e.Ends <= now.UnixMilli() }))
		if len(listed) == 0 {
			return nil, 0, nil
		}
		raw, err := json.Marshal(listed)
		if err != nil || bytes.Equal(raw, old) {
			return old, 0, err
		}
		last := slices.MaxFunc(listed, func(a, b listing) int { return cmp.Compare(a.Ends, b.Ends) })
		return raw, time.UnixMilli(last.Ends).Sub(now), nil
	})
}
