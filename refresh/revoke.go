package refresh

import (
	"context"
	"errors"
	"time"
)

// maxEnd is how long the end of a login is recorded at most: browsers keep no
// cookie longer (RFC 6265bis, section 5.5).
const maxEnd = 400 * 24 * time.Hour

// maxUnproven separates ends of real logins from those of tokens that may be
// made up: see [Coordinator.Revoke].
const maxUnproven = 24 * time.Hour

// Revoke ends the login that t belongs to: a caller that presents any of its
// tokens is refused, and what a call under way may still bring is revoked in
// its turn. The newest tokens are revoked at the provider where the Refresher
// is a [Revoker]; the error is the Revoker's, and the login is over whatever it
// says.
//
// The end is recorded until t.RefreshExpiry, or for 400 days if that is zero:
// for as long as a browser may keep the cookies. Give the tokens of a request
// that shows no access token which its issuer has signed a RefreshExpiry of a
// day or less: such ends have room of their own, so that a flood of made-up
// tokens pushes out no others.
func (c *Coordinator) Revoke(ctx context.Context, t Tokens) error {
	return c.revoke(ctx, c.end(ctx, t, errSignedOut))
}

// Replace ends the login that t belongs to as Revoke does, because its user has
// signed in anew, and revokes nothing. Providers may give both logins one
// grant, and end it as a whole when one of its tokens is revoked (RFC 7009
// section 2.1): the new login would be over before it has begun. The error is
// that of a Refresher that is a [Replacer]; the login is over whatever it says.
func (c *Coordinator) Replace(ctx context.Context, t Tokens) error {
	newest := c.end(ctx, t, errReplaced)
	if r, ok := c.Refresher.(Replacer); ok {
		return r.Replaced(ctx, newest)
	}
	return nil
}

// end ends a login in the ledgers, and returns its newest tokens.
func (c *Coordinator) end(ctx context.Context, t Tokens, why error) Tokens {
	c.init()
	if t.Refresh == "" {
		return t
	}
	life := endLife(t)
	newest, err := c.own.end(context.WithoutCancel(ctx), t, why, life)
	if err != nil {
		newest = t
	}
	c.held.end(newest.Refresh, why)
	for _, before := range c.arrivals.before(newest.Access) {
		// What led to them may be forgotten here before a browser shows it again.
		_ = c.own.endRecord(context.WithoutCancel(ctx), before.key, nil, why, min(life, max(maxUnproven, c.own.grace)))
	}
	if c.all == nil {
		return newest
	}
	return c.endEverywhere(ctx, t, newest, why, life)
}

// endLife returns how long the end of t's login is recorded.
func endLife(t Tokens) time.Duration {
	if t.RefreshExpiry.IsZero() {
		return maxEnd
	}
	return min(max(time.Until(t.RefreshExpiry), time.Hour), maxEnd)
}

// endEverywhere ends the login of t for all replicas, and returns its newest
// tokens: those known here if the Store cannot be asked now. Then it is tried
// later, and nobody waits.
func (c *Coordinator) endEverywhere(ctx context.Context, t, known Tokens, why error, life time.Duration) Tokens {
	newest, err := c.all.endWithin(ctx, c.all.op, t, why, life)
	switch {
	case err != nil:
		c.observeStore(ctx, err)
		c.endLater(context.WithoutCancel(ctx), t, known, why, life)
		return known
	case newest.Access == t.Access:
		return known
	}
	c.held.end(newest.Refresh, why)
	return newest
}

// endLater tries to tell the other replicas of an end: until then, the login
// lives there.
func (c *Coordinator) endLater(ctx context.Context, t, known Tokens, why error, life time.Duration) {
	c.flights.whileOpen(func() {
		c.wg.Go(func() {
			newest, err := c.all.endWithin(ctx, c.all.late, t, why, life)
			if err == nil && newest.Access != t.Access && newest.Access != known.Access {
				_ = c.revokeUnwanted(ctx, newest, why)
			}
		})
	})
}

// endWithin is end, tried again for a time.
func (l *ledger) endWithin(ctx context.Context, limit time.Duration, t Tokens, why error, life time.Duration) (newest Tokens, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err = retry(ctx, 1, func() (err error) { newest, err = l.end(ctx, t, why, life); return err })
	return newest, err
}

// revokeUnwanted revokes tokens that came after the end of their login, so that
// they are not left lying about. Nobody waits for it. After a new sign-in
// nothing is revoked: the provider may count these tokens and the new ones as
// one grant. It returns why.
func (c *Coordinator) revokeUnwanted(ctx context.Context, t Tokens, why error) error {
	if errors.Is(why, errReplaced) {
		return why
	}
	ctx, cancel := context.WithTimeout(ctx, c.wait)
	defer cancel()
	defer recovered(new(error), "Refresher")
	_ = c.revoke(ctx, t)
	return why
}

func (c *Coordinator) revoke(ctx context.Context, t Tokens) error {
	r, ok := c.Refresher.(Revoker)
	if !ok {
		return nil
	}
	return r.Revoke(ctx, t)
}
