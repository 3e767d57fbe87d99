package refresh

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tokenlife/tokenlife/refresh/internal/seal"
)

// A ledger holds what is known of refresh tokens, as records in a Store. A
// [Coordinator] has one of this process and, if it has a Store, one of all
// replicas. Both are used in the same way.
//
// A result leads from a refresh token to its successor, the successor's result
// to the next one, and so on to the newest tokens of the login. What the
// records mean is in the table at the head of exchange.go.
type ledger struct {
	store Store
	grace time.Duration // how long a result lives after its successor has arrived
	keep  time.Duration // how long before that

	life     time.Duration // of a claim, which is renewed during its call
	takeover time.Duration // of one that takes the place of a lapsed claim
	late     time.Duration // of a claim late in a call, and the time for a result to be written
	op       time.Duration // the time limit of one call of the Store; 0: none
	apart    time.Duration // how far the clocks of replicas may differ
	patience time.Duration // how long a Store that has begun to fail is tried again
	outage   outage

	private bool    // nobody else reads its Store: tokens in it are not sealed
	here    *ledger // of this process, whose times are by one clock; nil: this one
}

// maxLinks is how many results are followed one after the other. Tokens that
// were never presented have no successor, so that there are seldom more than
// two. A client that keeps no cookies, and comes with the same refresh token
// again and again, adds one each time that an access token has expired.
const maxLinks = 1024

// errTooLong is temporary: the newest tokens are not known, and no others may
// be presented to the provider.
var errTooLong = errors.New("refresh: a login with too many results that were never presented")

// Get implements [Store]: it is that of the Store with a time limit, without a
// panic, and noted by the outage.
func (l *ledger) Get(ctx context.Context, key string) (v []byte, err error) {
	defer l.outage.note(ctx, time.Now(), &err)
	defer recovered(&err, "Store")
	ctx, cancel := l.limited(ctx)
	defer cancel()
	v, err = l.store.Get(ctx, key)
	if err != nil && !errors.Is(err, ErrNotFound) {
		err = fmt.Errorf("refresh: reading the store: %w", err)
	}
	return v, err
}

// get returns the record under key, or nil.
func (l *ledger) get(ctx context.Context, key string) (record, error) {
	v, err := l.Get(ctx, key)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return v, err
}

// Swap implements [Store] in the same way.
func (l *ledger) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (ok bool, err error) {
	defer l.outage.note(ctx, time.Now(), &err)
	defer recovered(&err, "Store")
	ctx, cancel := l.limited(ctx)
	defer cancel()
	ok, err = l.store.Swap(ctx, key, old, new, max(ttl, time.Millisecond))
	if err != nil {
		return false, fmt.Errorf("refresh: writing to the store: %w", err)
	}
	return ok, nil
}

func (l *ledger) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	if l.op == 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, l.op)
}

// A trail is what a ledger knows of the login of some tokens.
type trail struct {
	newest Tokens
	record record // of the newest refresh token; nil: there is none
	first  record // of the refresh token that was followed

	exchangedAt time.Time // when that was exchanged; zero: it was not
	graceOver   bool      // a successor was presented so long ago that no request with t is under way
}

// follow returns the trail of t.
func (l *ledger) follow(ctx context.Context, t Tokens) (trail, error) {
	f := trail{newest: t}
	var passed map[string]record
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
		} else if l.longPresented(ctx, key, r) {
			f.graceOver = true
		}
		if r.tokens() == nil {
			break
		}
		if link == 0 && r.kind() == exchanged {
			f.exchangedAt = r.at()
		}
		next, err := l.open(r, f.newest.Refresh)
		if err != nil {
			return f, err
		}
		last := next.Refresh == f.newest.Refresh // the provider does not rotate
		if link > 0 && !last {
			// One that gives an older refresh token of the login again makes a ring.
			if passed == nil {
				passed = map[string]record{t.Refresh: f.first}
			}
			passed[f.newest.Refresh] = r
			if earlier, ok := passed[next.Refresh]; ok {
				f.record, last = earlier, true
				f.graceOver = f.graceOver && next.Refresh != t.Refresh
			}
		}
		f.newest = next
		if last {
			break
		}
	}
	return f, nil
}

// longPresented reports whether the refresh token of r was presented so long
// ago that Grace is over, by the clock of whoever has written that.
func (l *ledger) longPresented(ctx context.Context, key string, r record) bool {
	if at := r.presentedAt(); !at.IsZero() && time.Since(at) > l.grace+l.apart {
		return true
	}
	if l.here == nil {
		return false
	}
	mine, err := l.here.get(ctx, key)
	return err == nil && l.here.longPresented(ctx, key, mine)
}

// find is follow, tried again while the Store has just begun to fail.
func (l *ledger) find(ctx context.Context, t Tokens) (f trail, err error) {
	err = l.retryBriefly(ctx, func() (err error) { f, err = l.follow(ctx, t); return err })
	return f, err
}

// newResult returns the record of a refresh token that was exchanged for next,
// or issued with it.
func (l *ledger) newResult(kind byte, refreshToken string, next Tokens, at, presentedAt time.Time) (record, error) {
	plain, err := encode(next)
	if !l.private && err == nil {
		plain, err = seal.Seal([]byte(refreshToken), resultLabel, plain, nil)
	}
	return newRecordAt(at, kind, presentedAt, plain...), err
}

// open returns the tokens in the record of a refresh token.
func (l *ledger) open(r record, refreshToken string) (t Tokens, err error) {
	plain := r.tokens()
	if !l.private {
		plain, err = seal.Open([]byte(refreshToken), resultLabel, plain, nil)
	}
	if err == nil {
		t, err = decode(plain)
	}
	if err != nil {
		return Tokens{}, errUnreadable
	}
	return t, nil
}

// resultLabel separates the key of a result from other keys of the same refresh
// token. It seals one result, or a few where the provider does not rotate.
const resultLabel = "tokenlife refresh result"

var errUnreadable = errors.New("refresh: a record in the store that cannot be read")

// A result is what the provider has given for old.
type result struct {
	old, next   Tokens
	presentedAt time.Time // when a client first presented old; zero: none has
	askedAt     time.Time // when the provider was asked; zero: what is recorded is older
	at          time.Time // when it answered
	found       record    // the record of old as it was last seen
	written     record    // the record of the result, once it is published
}

// publish writes o into the ledger. Where another result has been written since
// the provider was asked, that one stays, and becomes o's. An error wraps
// [ErrEnded] if the login has ended meanwhile; otherwise publish may be called
// again.
func (l *ledger) publish(ctx context.Context, o *result) error {
	key := recordKey(o.old.Refresh)
	presentedAt := o.presentedAt
	if at := o.found.presentedAt(); !at.IsZero() {
		presentedAt = at
	}
	mine, err := l.newResult(exchanged, o.old.Refresh, o.next, o.at, presentedAt)
	if err != nil {
		return err
	}
	known := []byte(o.found)
	err = update(ctx, l, key, &known, func(v []byte) ([]byte, time.Duration, error) {
		r := record(v)
		switch {
		case r.kind() == ended:
			return nil, 0, r.reason()
		case r.kind() == exchanged && !o.askedAt.IsZero() && r.at().After(o.askedAt.Add(-l.apart)):
			// Ours, by a write that only seemed to fail, or a sibling's, to
			// whom the provider has given other tokens: others have them
			// already. What stood there before we asked is older, and goes: so
			// does the result by which a provider that does not rotate has
			// given what we have just exchanged.
			there, err := l.open(r, o.old.Refresh)
			if err == nil && there.Access == o.old.Access {
				break
			}
			if err == nil {
				o.next = there
			}
			o.written = r
			return v, 0, nil
		}
		o.written = mine
		return mine, l.keep, nil
	})
	o.found = known
	return err
}

// end records that the login of t has ended, and returns its newest tokens. The
// record lives for life.
func (l *ledger) end(ctx context.Context, t Tokens, why error, life time.Duration) (Tokens, error) {
	for {
		f, err := l.follow(ctx, t)
		if err != nil {
			return f.newest, err
		}
		if f.record.kind() != ended {
			done, err := l.Swap(ctx, recordKey(f.newest.Refresh), f.record, newEnd(why), life)
			if err != nil {
				return f.newest, err
			}
			if !done {
				continue // somebody has gone on from them
			}
		}
		if f.newest.Refresh == t.Refresh {
			return f.newest, nil
		}
		// What leads there may be gone before the end is.
		first := []byte(f.first)
		return f.newest, update(ctx, l, recordKey(t.Refresh), &first, func(old []byte) ([]byte, time.Duration, error) {
			if record(old).kind() == ended {
				return old, 0, nil
			}
			return newEnd(why), life, nil
		})
	}
}
