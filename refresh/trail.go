package refresh

import (
	"context"
	"errors"
	"time"
)

// A trail is what a ledger tells of a refresh token and its successors.
type trail struct {
	newest Tokens // the last ones that were found
	record record // of the newest refresh token; nil: there is none
	first  record // of the refresh token that was followed

	exchangedAt time.Time // when that one was exchanged; zero: it was not

	graceEnds time.Time // since a successor was presented; zero: none was
}

// graceOver reports whether Grace was over when a request with the first refresh
// token came. One that came before is answered, however long that takes.
func (f trail) graceOver(came time.Time) bool {
	return !f.graceEnds.IsZero() && came.After(f.graceEnds)
}

// maxLinks is how many successors are followed. Within Grace there are seldom
// more than two. A client that keeps no cookies, and presents the same refresh
// token again and again, adds one each time that an access token has expired.
const maxLinks = 1024

// errTooLong is temporary: the newest tokens are not known, and no others may
// be presented to the provider.
var errTooLong = errors.New("refresh: a login with too many results that were never presented")

// find is follow, which is retried while the Store has just begun to fail.
func (l *ledger) find(ctx context.Context, t Tokens) (f trail, err error) {
	err = l.retryBriefly(ctx, func() (err error) { f, err = l.follow(ctx, t); return err })
	return f, err
}

// follow reads the record of t and of its successors. It ends at a record
// without tokens, and at one whose tokens have the same refresh token, as those
// of a provider that does not rotate. On an error it returns what it has read.
func (l *ledger) follow(ctx context.Context, t Tokens) (trail, error) {
	f := trail{newest: t}
	var passed map[string]record // by refresh token
	for link := 0; ; link++ {
		key := recordKey(f.newest.Refresh)
		r, err := l.get(ctx, key)
		switch {
		case err != nil:
			return f, err
		case link == maxLinks:
			return f, errTooLong
		}
		f.record = r
		if link == 0 {
			f.first = r
		} else {
			f.graceEnds = earlier(f.graceEnds, l.graceEnds(ctx, key, r))
		}
		if r.tokens() == nil {
			return f, nil
		}
		if link == 0 && r.kind() == exchanged {
			f.exchangedAt = r.at()
		}
		next, err := l.open(r, f.newest.Refresh)
		if err != nil {
			return f, err
		}
		last := next.Refresh == f.newest.Refresh
		if link > 0 && !last {
			// A provider may give an older refresh token of the login again.
			if passed == nil {
				passed = map[string]record{t.Refresh: f.first}
			}
			passed[f.newest.Refresh] = r
			if before, ok := passed[next.Refresh]; ok {
				f.record, last = before, true
				if next.Refresh == t.Refresh {
					f.graceEnds = time.Time{}
				}
			}
		}
		if f.newest = next; last {
			return f, nil
		}
	}
}

// graceEnds returns when the Grace ends that has begun as the refresh token of r,
// the record under key, was presented; zero: it has not begun. A time that
// another replica has written counts by a clock that may be apart, one of this
// process exactly.
func (l *ledger) graceEnds(ctx context.Context, key string, r record) (end time.Time) {
	if at := r.presentedAt(); !at.IsZero() {
		end = at.Add(l.grace + l.apart)
	}
	if l.own != nil {
		if mine, err := l.own.get(ctx, key); err == nil {
			end = earlier(end, l.own.graceEnds(ctx, key, mine))
		}
	}
	return end
}

// earlier returns the earlier of two times, of which zero is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
