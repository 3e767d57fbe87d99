package refresh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// shared is what replicas know together through a Store.
//
// A refresh token is claimed before the provider is asked, and the claim becomes
// the result by compare-and-swap. Who finds a claim waits for the result, not
// for the claim to go. A result leads from a refresh token to the tokens that
// followed it, and so on to the newest.
type shared struct {
	store Store
	grace time.Duration // how long a result stands once it has arrived
	keep  time.Duration // how long before that
	claim time.Duration // the life of a claim, which is renewed while its call runs
	tell  time.Duration // how long a result is tried to be written
	op    time.Duration // how long one look at the store may take

	apart    time.Duration // what replicas' clocks may differ by, where one reads a time of another
	patience time.Duration // how long a store that has just failed is waited for
	outage   outage
}

// maxLinks is how many results in a row are followed. Tokens that nobody has
// presented have no successor, so that there are seldom more than two.
const maxLinks = 32

func (s *shared) get(ctx context.Context, key string) (r record, err error) {
	defer s.outage.looked(ctx, time.Now(), &err)
	defer caught(&err, "Store")
	ctx, cancel := context.WithTimeout(ctx, s.op)
	defer cancel()
	v, err := s.store.Get(ctx, key)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("refresh: reading the store: %w", err)
	}
	return v, nil
}

func (s *shared) swap(ctx context.Context, key string, old, new record, ttl time.Duration) (ok bool, err error) {
	if old == nil && new == nil {
		return true, nil
	}
	defer s.outage.looked(ctx, time.Now(), &err)
	defer caught(&err, "Store")
	ctx, cancel := context.WithTimeout(ctx, s.op)
	defer cancel()
	ok, err = s.store.Swap(ctx, key, old, new, max(ttl, time.Millisecond))
	if err != nil {
		return false, fmt.Errorf("refresh: writing to the store: %w", err)
	}
	return ok, nil
}

// A trail is where tokens lead to.
type trail struct {
	newest Tokens
	record record    // under the newest refresh token: nil where nobody has presented it yet
	since  time.Time // when the first successor came; zero: there is none
	stale  bool      // it was presented so long ago that nobody with the old tokens can be under way
}

// follow returns where t leads to. That the first successor has been presented
// shows in the record under its refresh token, if nobody has told of it before.
func (s *shared) follow(ctx context.Context, t Tokens) (trail, error) {
	f := trail{newest: t}
	for link := range maxLinks {
		r, err := s.get(ctx, storeKey("refresh", f.newest.Refresh))
		if err != nil {
			return f, err
		}
		f.record = r
		if was := r.before(); was != nil {
			f.newest, err = was.open(f.newest.Refresh)
			return f, err
		}
		if link == 1 && r != nil && time.Since(r.since()) > s.grace+s.apart {
			f.stale = true
		}
		if r.kind() != replaced {
			break
		}
		if link == 0 && !r.unsent() {
			f.since = r.since()
		}
		next, err := r.open(f.newest.Refresh)
		if err != nil {
			return f, err
		}
		same := next.Refresh == f.newest.Refresh // the provider does not rotate
		f.newest = next
		if same {
			break
		}
	}
	return f, nil
}

// find is follow, with patience.
func (s *shared) find(ctx context.Context, t Tokens) (f trail, err error) {
	err = s.patiently(ctx, func() (err error) { f, err = s.follow(ctx, t); return err })
	return f, err
}

// An outcome is what the provider has given for old.
type outcome struct {
	old, next Tokens
	sent      bool      // a client has presented old
	came      time.Time // when it was asked for
	at        record    // what was seen under old last: its claim, if all is well
	ttl       time.Duration
}

// settle writes an outcome where all replicas find it, or makes it what they
// have found before. It may be called again after an error, and returns
// [ErrEnded] if the user has signed out meanwhile.
func (s *shared) settle(ctx context.Context, o *outcome) error {
	result, err := newResult(o.old.Refresh, o.next)
	if err != nil {
		return err
	}
	if !o.sent {
		result.markUnsent()
	}
	key := storeKey("refresh", o.old.Refresh)
	for {
		done, err := s.swap(ctx, key, o.at, result, o.ttl)
		if err != nil {
			return err
		}
		if done {
			break
		}
		// The claim has run out, or somebody has written over it.
		if o.at, err = s.get(ctx, key); err != nil {
			return err
		}
		if o.at.kind() == ended {
			return o.at.over()
		}
		if o.at.kind() == replaced && o.at.since().After(o.came.Add(-s.apart)) {
			// By a write of ours that looked like a failure, or by a sibling, to
			// whom the provider has given other tokens: others have them already.
			// What stood there before we asked is older, and goes: so does what we
			// have just exchanged, of a provider that does not rotate.
			there, err := o.at.open(o.old.Refresh)
			if err == nil && there.Access == o.old.Access {
				continue
			}
			if err == nil {
				o.next = there
			}
			break
		}
	}
	// Only a shorter life of the results depends on this.
	back := key
	if !o.sent { // so what led to old will have arrived when next has
		before := storeKey("access", o.old.Access)
		if was, err := s.get(ctx, before); err == nil && was != nil && len(was) < 2*maxLinks*len(key) {
			back += " " + before + " " + string(was)
		}
	}
	_, _ = s.swap(ctx, storeKey("access", o.next.Access), nil, record(back), o.ttl)
	return nil
}

// await waits until the record under old's refresh token is another than r, or
// may be.
func (s *shared) await(ctx context.Context, old Tokens, r record) error {
	key := storeKey("refresh", old.Refresh)
	var changed <-chan struct{}
	if w, ok := s.store.(Watcher); ok {
		c, stop, err := w.Watch(ctx, key)
		if err == nil {
			changed = c
			defer stop()
		}
	}
	for begin := time.Now(); ; {
		var now record
		err := s.patiently(ctx, func() (err error) { now, err = s.get(ctx, key); return err })
		if err != nil || !bytes.Equal(now, r) {
			return err
		}
		// Seldom enough to spare the store, often enough that a wait is not
		// made longer by more than a tenth.
		pause := min(max(5*time.Millisecond, time.Since(begin)/10), 250*time.Millisecond)
		select {
		case _, open := <-changed:
			if !open {
				changed = nil
			}
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// end marks the login of t as over for all replicas and returns its newest tokens.
func (s *shared) end(ctx context.Context, t Tokens, why error) (Tokens, error) {
	for {
		f, err := s.follow(ctx, t)
		if err != nil || f.record.kind() == ended {
			return f.newest, err
		}
		done, err := s.swap(ctx, storeKey("refresh", f.newest.Refresh), f.record, newEnd(why), s.keep)
		if done || err != nil {
			return f.newest, err
		}
	}
}

// arrived lets the results that led to access stand for grace only: a client has
// presented it, wherever that was. It tells whether that is news.
func (s *shared) arrived(ctx context.Context, access string) (news bool, err error) {
	back := storeKey("access", access)
	keys, err := s.get(ctx, back)
	if err != nil || keys == nil {
		return false, err
	}
	for key := range strings.FieldsSeq(string(keys) + " " + back) {
		r, err := s.get(ctx, key)
		switch {
		case err != nil:
			return true, err
		case strings.HasPrefix(key, "access."):
			// Who comes with what lies between must not lengthen that again.
			_, err = s.swap(ctx, key, r, nil, 0)
		case r.kind() == replaced:
			_, err = s.swap(ctx, key, r, r, s.grace)
		}
		if err != nil {
			return true, err
		}
	}
	return true, nil
}
