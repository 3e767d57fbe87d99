package refresh

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"time"

	"github.com/tokenlife/tokenlife/refresh/internal/pace"
)

// A claim gives its flight the right to ask the provider with a refresh token.
// It stands beside the record of that token, names the flight and the result in
// that record, and lapses by itself. It is spent when the record holds another
// result: so it need not be taken away when there is one.
type claim struct {
	key    string
	record record
	life   time.Duration // early in the call, if it is not renewed
}

// maxClaim is the longest life of a claim early in a call. Its replica may have
// died when the provider had exchanged the token. Others must be able to ask
// again within the provider's grace, for which ten seconds are the least that
// is recommended. Late in a call a claim lives longer, as others could only do
// harm.
const maxClaim = 5 * time.Second

// maxTakeover is the longest life of a claim that takes the place of one which
// has lapsed. It is shorter so that, if this replica dies as well, a third can
// ask within that grace.
const maxTakeover = 3 * time.Second

const (
	ownerSize   = 16
	versionSize = 16
)

func newOwner() []byte {
	owner := make([]byte, ownerSize)
	_, _ = rand.Read(owner) // it never returns an error
	return owner
}

// newClaim returns a claim of t, the record of which is r.
func (l *ledger) newClaim(owner []byte, t Tokens, r record, takeover bool) claim {
	var result []byte
	life := l.life
	switch {
	case r.kind() == exchanged: // the provider does not rotate: there is no grace to be in time for
		result, life = r.tokens(), l.late
	case takeover:
		life = l.takeover
	}
	version := sha256.Sum256(result)
	v := append(append([]byte{claimed}, owner...), version[:versionSize]...)
	return claim{StoreKey("refresh.claim", t.Refresh), v, life}
}

// claiming is what has come of an attempt to claim a refresh token.
type claiming int

const (
	claimOfAnother claiming = iota // another flight's claim of the same tokens is there
	claimDiffers                   // a claim of other tokens is there: the record has changed
	claimNew                       // this one is there, where none was, or one that is spent
	claimKept                      // this one is there, and was before
	claimReplaced                  // this one is there, in the place of one that was released meanwhile
)

// claim puts the claim c there if there is no other flight's, and returns that
// one. A claim of other tokens than those in the record is spent if it was
// there before the record was read. Otherwise it may be of newer ones.
func (l *ledger) claim(ctx context.Context, c claim, before record) (got claiming, there record, err error) {
	owned, err := l.Swap(ctx, c.key, nil, c.record, c.life)
	if err != nil {
		return claimOfAnother, nil, err
	}
	if owned {
		return claimNew, nil, nil
	}
	there, err = l.get(ctx, c.key)
	switch {
	case err != nil:
		return claimOfAnother, nil, err
	case there == nil:
		got = claimReplaced
	case bytes.Equal(there, c.record):
		got = claimKept // it is renewed
	case sameTokens(there, c):
		return claimOfAnother, there, nil
	case !bytes.Equal(there, before):
		return claimDiffers, there, nil
	default:
		got = claimNew
	}
	if owned, err = l.Swap(ctx, c.key, there, c.record, c.life); !owned {
		got = claimOfAnother
	}
	return got, there, err
}

func (c claim) equal(other claim) bool {
	return c.key == other.key && bytes.Equal(c.record, other.record)
}

// sameTokens reports whether a claim is of the same tokens as c.
func sameTokens(there record, c claim) bool {
	const version = 1 + ownerSize
	return len(there) >= version && bytes.Equal(there[version:], c.record[version:])
}

// renewClaim keeps a claim alive until ctx ends: where the Store or the
// provider is slow, it must not lapse before the result is there.
func (l *ledger) renewClaim(ctx context.Context, c claim) {
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(l.life, c.life) / 3):
		}
		life := c.life
		if n >= 3 {
			life = l.late // too late to ask again: the answer is the best hope
		}
		_, _ = l.Swap(ctx, c.key, c.record, c.record, life)
	}
}

// release takes a claim away. If this fails, it lapses.
func (l *ledger) release(ctx context.Context, c claim) {
	_, _ = l.Swap(ctx, c.key, c.record, nil, 0)
}

// await waits until the record of a refresh token is another than r, or the
// claim of it is gone.
func (l *ledger) await(ctx context.Context, claimKey, refreshToken string, r record) error {
	key := recordKey(refreshToken)
	looks, stop := pace.Watch(ctx, l.store, key)
	defer stop()
	for next := time.Now(); ; {
		var now, claim record
		err := l.retryBriefly(ctx, func() (err error) {
			if now, err = l.get(ctx, key); err == nil && !time.Now().Before(next) {
				claim, err = l.get(ctx, claimKey)
			}
			return err
		})
		switch {
		case err != nil || !bytes.Equal(now, r):
			return err
		case !time.Now().Before(next):
			if claim == nil {
				return nil
			}
			next = time.Now().Add(pace.MaxPause)
		}
		if err := looks.Next(ctx); err != nil {
			return err
		}
	}
}
