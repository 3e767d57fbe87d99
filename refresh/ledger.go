package refresh

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tokenlife/tokenlife/refresh/internal/seal"
)

// A ledger keeps records of refresh tokens in a Store. A [Coordinator] has one
// in memory, of its process. If it has a Store, it has a second one, which all
// replicas share. Their methods are the same.
//
// The record of an exchanged refresh token holds the tokens that the provider
// gave for it. The new refresh token is its successor: trail.go follows the
// successors to the newest tokens of the login. The kinds of records are in
// record.go, and what is done with them is at the head of exchange.go.
type ledger struct {
	store Store
	grace time.Duration // for which old tokens are good once the new ones were presented
	keep  time.Duration // the life of a record with tokens

	life     time.Duration // of a claim; it is renewed while the provider is asked
	takeover time.Duration // of a claim that replaces a lapsed one
	late     time.Duration // of a claim late in a call; and for how long a write is retried
	op       time.Duration // the time limit of one call of the Store; 0: none
	apart    time.Duration // how far the clocks of replicas may differ
	patience time.Duration // for how long a Store that has begun to fail is retried
	outage   outage        // since when the Store has failed

	private bool    // only this process reads the Store: tokens in it are not sealed
	own     *ledger // of this process, whose times are by one clock; nil: it is this one
}

// Get implements [Store]. It calls the Store with the time limit op, makes an
// error of a panic, and tells the outage of an error.
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

// Swap implements [Store]. Like Get, it limits the time, makes an error of a
// panic, and tells the outage. Lifetimes are 1 ms at least.
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

// limited returns ctx with the time limit op, if there is one.
func (l *ledger) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	if l.op == 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, l.op)
}

// newResult returns a record of a refresh token that holds next. Its kind is
// exchanged or issued. Unless the ledger is private, next is sealed under a key
// that is derived from the refresh token.
func (l *ledger) newResult(kind byte, refreshToken string, next Tokens, at time.Time) (record, error) {
	plain, err := encode(next)
	if !l.private && err == nil {
		plain, err = seal.Seal([]byte(refreshToken), resultLabel, plain, nil)
	}
	return newRecord(kind, at, plain...), err
}

// open returns the tokens in the record of a refresh token. Its error is
// errUnreadable.
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

// resultLabel makes the key under which a result is sealed another one than
// other keys that are derived from the same refresh token.
const resultLabel = "tokenlife refresh result"

var errUnreadable = errors.New("refresh: a record in the store that cannot be read")

// A result is an exchange of old for next.
type result struct {
	old, next   Tokens
	presentedAt time.Time // when a client first presented old; zero: none has
	askedAt     time.Time // a result from before then is overwritten; zero: any is
	at          time.Time // when the provider answered
	found       record    // the record of old as it was last read
	written     record    // the record that publish has written, or left
}

// publish writes o into the ledger. If the ledger has another result that was
// written after o.askedAt, that one stays, and publish sets o.next to its
// tokens. If the login has ended meanwhile, the error wraps [ErrEnded]. After
// any other error publish may be called again.
func (l *ledger) publish(ctx context.Context, o *result) error {
	key := recordKey(o.old.Refresh)
	mine, err := l.newResult(exchanged, o.old.Refresh, o.next, o.at)
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
			// An earlier write of ours may have succeeded, or another replica
			// has exchanged old as well. Other callers may have those tokens.
			// Where the provider keeps the refresh token, the record may still
			// be the one that old itself came from: it is overwritten.
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
		o.written = mine.mark(presentedByte, o.presentedAt).mark(presentedByte, r.presentedAt())
		return o.written, l.keep, nil
	})
	o.found = known
	return err
}

// end records, for the time life, that the login of t has ended: for its newest
// refresh token and for that of t. It returns the newest tokens.
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
				continue // another caller has changed the record
			}
		}
		if f.newest.Refresh == t.Refresh {
			return f.newest, nil
		}
		// The records between t and the newest tokens may expire before this end.
		first := []byte(f.first)
		return f.newest, l.endRecord(ctx, recordKey(t.Refresh), &first, why, life)
	}
}

// endRecord makes the record under key an end, if it is none. known is that
// record as it was read, or nil.
func (l *ledger) endRecord(ctx context.Context, key string, known *[]byte, why error, life time.Duration) error {
	return update(ctx, l, key, known, func(old []byte) ([]byte, time.Duration, error) {
		if record(old).kind() == ended {
			return old, 0, nil
		}
		return newEnd(why), life, nil
	})
}
