package refresh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
	claim time.Duration // the life of a claim: longer than the call that it is for
	op    time.Duration // how long one look at the store may take
}

// maxLinks is how many results in a row are followed. Tokens that nobody has
// presented have no successor, so that there are seldom more than two.
const maxLinks = 32

func (s *shared) get(ctx context.Context, key string) (record, error) {
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

func (s *shared) swap(ctx context.Context, key string, old, new record, ttl time.Duration) (bool, error) {
	if old == nil && new == nil {
		return true, nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.op)
	defer cancel()
	ok, err := s.store.Swap(ctx, key, old, new, max(ttl, time.Millisecond))
	if err != nil {
		return false, fmt.Errorf("refresh: writing to the store: %w", err)
	}
	return ok, nil
}

// follow returns the newest tokens that t leads to, and the record that stands
// under their refresh token: nil where nobody has presented it yet. The second
// tokens' record also tells when they arrived, if not before: stale says that t
// has been replaced so long ago that no request with it can be under way.
func (s *shared) follow(ctx context.Context, t Tokens) (newest Tokens, r record, stale bool, err error) {
	for link := range maxLinks {
		if r, err = s.get(ctx, storeKey("refresh", t.Refresh)); err != nil {
			return t, nil, false, err
		}
		if link == 1 && r != nil && time.Since(r.since()) > s.grace {
			stale = true
		}
		if r.kind() != replaced {
			break
		}
		next, err := r.open(t.Refresh)
		if err != nil {
			return t, nil, false, err
		}
		same := next.Refresh == t.Refresh // the provider does not rotate
		t = next
		if same {
			break
		}
	}
	return t, r, stale, nil
}

// settle replaces what stands for old, which should be its claim, by its result.
// It returns what it found there last, for the next try after an error, and
// [errEnded] if the user has signed out meanwhile.
func (s *shared) settle(ctx context.Context, old Tokens, at record, next Tokens) (record, error) {
	result, err := newResult(old.Refresh, next)
	if err != nil {
		return at, err
	}
	key := storeKey("refresh", old.Refresh)
	for {
		done, err := s.swap(ctx, key, at, result, s.keep)
		if err != nil {
			return at, err
		}
		if done {
			break
		}
		// The claim has run out, or somebody has written over it.
		if at, err = s.get(ctx, key); err != nil {
			return at, err
		}
		if at.kind() == ended {
			return at, errEnded
		}
		if at.kind() == replaced {
			// By a write of ours that looked like a failure, or by a sibling;
			// where that got other tokens, the provider has given both.
			if there, err := at.open(old.Refresh); err == nil && there == next {
				break
			}
		}
	}
	// Only a shorter life of the result depends on this.
	_, _ = s.swap(ctx, storeKey("access", next.Access), nil, record(key), s.keep)
	return result, nil
}

// insist calls f until it succeeds or ctx ends, with pauses. A sign-out is no
// error of the store, and ends it.
func (s *shared) insist(ctx context.Context, f func() error) error {
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 250*time.Millisecond) {
		err := f()
		if err == nil || errors.Is(err, errEnded) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
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
		now, err := s.get(ctx, key)
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

// renewClaim keeps a claim alive until ctx ends: where the store is slow, or the
// provider, it must not run out before the answer stands in its place.
func (s *shared) renewClaim(ctx context.Context, old Tokens, claim record) {
	key := storeKey("refresh", old.Refresh)
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(s.claim / 3):
			_, _ = s.swap(ctx, key, claim, claim, s.claim)
		}
	}
}

// end marks the login of t as over for all replicas and returns its newest tokens.
func (s *shared) end(ctx context.Context, t Tokens) (Tokens, error) {
	for {
		newest, r, _, err := s.follow(ctx, t)
		if err != nil || r.kind() == ended {
			return newest, err
		}
		done, err := s.swap(ctx, storeKey("refresh", newest.Refresh), r, newRecord(ended, nil), s.keep)
		if done || err != nil {
			return newest, err
		}
	}
}

// arrived lets the result that brought access stand for grace only: a client has
// presented it, wherever that was.
func (s *shared) arrived(ctx context.Context, access string) error {
	back := storeKey("access", access)
	key, err := s.get(ctx, back)
	if err != nil || key == nil {
		return err
	}
	r, err := s.get(ctx, string(key))
	if err != nil {
		return err
	}
	if r.kind() == replaced {
		if _, err := s.swap(ctx, string(key), r, r, s.grace); err != nil {
			return err
		}
	}
	_, err = s.swap(ctx, back, key, nil, 0)
	return err
}
