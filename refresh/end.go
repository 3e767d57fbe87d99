package refresh

import (
	"context"
	"errors"
)

// Revoke ends the login that t belongs to: whoever presents any of its tokens
// from now on is refused, and what a call in flight may still bring is revoked
// in its turn. The newest tokens are revoked at the provider where the
// Refresher is a [Revoker]; the error is the Revoker's, and the login is over
// whatever it says.
func (c *Coordinator) Revoke(ctx context.Context, t Tokens) error {
	return c.revoke(ctx, c.end(ctx, t, errSignedOut))
}

// Replace ends the login that t belongs to as Revoke does, because its user has
// signed in anew, and revokes nothing. Providers may give both logins one grant,
// and end it as a whole when one of its tokens is revoked (RFC 7009 section 2.1):
// the new login would be over before it has begun. The error is that of a Refresher
// that is a [Replacer]; the login is over whatever it says.
func (c *Coordinator) Replace(ctx context.Context, t Tokens) error {
	newest := c.end(ctx, t, errReplaced)
	if r, ok := c.Refresher.(Replacer); ok {
		return r.Replaced(ctx, newest)
	}
	return nil
}

// end ends a login and returns its newest tokens.
func (c *Coordinator) end(ctx context.Context, t Tokens, why error) Tokens {
	c.init()
	newest := c.book.end(t, why)
	if c.sh != nil && t.Refresh != "" {
		newest = c.endTogether(ctx, t, newest, why)
	}
	return newest
}

func (c *Coordinator) revoke(ctx context.Context, t Tokens) error {
	r, ok := c.Refresher.(Revoker)
	if !ok {
		return nil
	}
	return r.Revoke(ctx, t)
}

// endTogether ends the login of t for all replicas and returns its newest
// tokens, which are known here if the Store cannot be asked now: then it is tried on,
// and nobody waits.
func (c *Coordinator) endTogether(ctx context.Context, t, known Tokens, why error) Tokens {
	ending, cancel := context.WithTimeout(ctx, c.sh.op)
	defer cancel()
	newest := known
	err := c.sh.insist(ending, 1, func() (err error) { newest, err = c.sh.end(ending, t, why); return err })
	if err != nil {
		c.degraded(ctx, err)
		c.insistOnEnd(context.WithoutCancel(ctx), t, known, why)
	}
	if err != nil || newest.Access == t.Access {
		return known
	}
	return newest
}

// insistOnEnd tries on: until the others are told, the login lives there.
func (c *Coordinator) insistOnEnd(ctx context.Context, t, known Tokens, why error) {
	c.book.whileOpen(func() {
		c.wg.Go(func() {
			insisting, cancel := context.WithTimeout(ctx, c.sh.tell)
			defer cancel()
			newest := known
			err := c.sh.insist(insisting, 1, func() (err error) { newest, err = c.sh.end(insisting, t, why); return err })
			if err == nil && newest.Access != t.Access && newest.Access != known.Access && !errors.Is(why, errReplaced) {
				c.takeBack(ctx, newest)
			}
		})
	})
}

// takeBack revokes what came after the user had signed out, so that it is not
// left lying about. Nobody waits for it any more.
func (c *Coordinator) takeBack(ctx context.Context, t Tokens) {
	ctx, cancel := context.WithTimeout(ctx, c.wait)
	defer cancel()
	defer caught(new(error), "Refresher")
	_ = c.revoke(ctx, t)
}

// unwanted takes back what the provider gave to a user who had signed out.
func (c *Coordinator) unwanted(ctx context.Context, o *outcome, err error) error {
	if errors.Is(err, ErrEnded) && !errors.Is(err, errReplaced) {
		c.takeBack(ctx, o.next)
	}
	return err
}
