package login

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
)

// revokeTimeout bounds the revocation of a login that cannot begin.
const revokeTimeout = 3 * time.Second

// redeem exchanges the code for tokens, and checks that they belong to the
// attempt.
func (f *Flow) redeem(ctx context.Context, a attempt, got answer) (refresh.Tokens, error) {
	if got.Issuer == "" && f.Client.Discovery != nil {
		m, err := f.Client.Discovery.Metadata(ctx)
		if err != nil {
			return refresh.Tokens{}, fmt.Errorf("login: %w", err)
		}
		if m.IssParameterSupported {
			return refresh.Tokens{}, errIssuer // RFC 9207, section 2.4
		}
	}
	t, err := f.Client.Exchange(ctx, got.Code, a.Verifier, f.RedirectURL)
	if err != nil {
		return refresh.Tokens{}, fmt.Errorf("login: %w", err)
	}
	if v, ok := f.Auth.Verifier.(interface{ Expect(raw string) }); ok {
		v.Expect(t.Access) // the provider has given it, and not a client
	}
	if f.WithoutIDToken {
		t.ID = "" // nobody has verified it
	}
	if err := f.check(ctx, a, t); err != nil {
		if !errors.Is(err, errUnmet) {
			f.revokeUnused(ctx, t)
		}
		// Else the tokens are the user's own. To the provider they may be one
		// grant with the login that the browser has, which goes on.
		return refresh.Tokens{}, err
	}
	return t, nil
}

// revokeUnused revokes the tokens of a login that cannot begin. It has a
// timeout of its own, as the failure may have used up the time of ctx.
func (f *Flow) revokeUnused(ctx context.Context, t refresh.Tokens) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), revokeTimeout)
	defer cancel()
	_ = f.Client.Revoke(ctx, t)
}
