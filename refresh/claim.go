package refresh

import (
	"context"
	"crypto/rand"
	"time"
)

// A claim is ours to ask the provider with a refresh token, on behalf of all: the
// record that stands in the store meanwhile.
type claim struct {
	record
	was  record        // what stood in its place
	life time.Duration // how long it stands that is not renewed, early in the call

	inherited bool // it follows on another's that has run out, and has left no answer
}

// An inheritedKey is in the context of a call under such a claim: a Refresher may
// have a Coordinator of its own, whose claim has run out in the same moment.
type inheritedKey struct{}

// maxClaim is how long a claim holds others back whose replica has died early in
// its call. The provider may have exchanged the token: who waits must be able to ask
// again within its grace, of which ten seconds are the shortest that providers
// recommend. Later in a call a claim lives longer, as others could only do harm.
const maxClaim = 5 * time.Second

// maxInherited is the same for a claim that follows on one which has gone without a
// result: should this replica die as well, a third must be in time for that grace.
const maxInherited = 3 * time.Second

// newClaim returns a claim that no other replica makes. Where the provider does not
// rotate, it takes the place of a result, and keeps it: there is no grace to be in
// time for.
func (s *shared) newClaim(was record, inherited bool) claim {
	owner := make([]byte, ownerSize)
	_, _ = rand.Read(owner) // it never returns an error
	life := s.claim
	switch {
	case was.kind() == replaced:
		owner = append(owner, was[recordHeader:]...)
		life = s.tell
	case inherited:
		life = min(life, maxInherited)
	}
	return claim{newRecord(claimed, owner), was, life, inherited}
}

// renewClaim keeps a claim alive until ctx ends: where the store is slow, or the
// provider, it must not run out before the answer stands in its place.
func (s *shared) renewClaim(ctx context.Context, old Tokens, c claim) {
	key := storeKey("refresh", old.Refresh)
	for times := 1; ; times++ {
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(s.claim, c.life) / 3):
		}
		life := c.life
		if times >= 3 {
			life = s.tell // too late to ask again: the answer is the best hope
		}
		_, _ = s.swap(ctx, key, c.record, c.record, life)
	}
}
