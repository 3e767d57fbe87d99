package middleware

import (
	"context"
	"errors"

	"github.com/tokenlife/tokenlife/middleware/verify"
)

// NewContext returns a copy of ctx in which [FromContext] and [Claims] find t,
// for code that calls a handler itself: a test, or an authentication of another
// kind that serves the same handlers. What t says is believed: whoever calls it
// vouches that it has been verified.
func NewContext(ctx context.Context, t *verify.Token) context.Context {
	return context.WithValue(ctx, tokenKey{}, t)
}

type tokenKey struct{}

// Value gives the token to [FromContext].
func (d *decision) Value(key any) any {
	if key == (tokenKey{}) {
		return d.token
	}
	return d.Context.Value(key)
}

// FromContext returns the verified access token of the request with this
// context, and whether there is one. The token is shared: it must not be changed.
func FromContext(ctx context.Context) (*verify.Token, bool) {
	t, _ := ctx.Value(tokenKey{}).(*verify.Token)
	return t, t != nil
}

// Claims decodes the claims of the request's access token into a T, a struct
// with json tags or a map[string]any. An error says that the context has no token,
// or that its claims are of other types than T's.
func Claims[T any](ctx context.Context) (T, error) {
	var claims T
	t, ok := FromContext(ctx)
	if !ok {
		return claims, errors.New("middleware: no token in this context")
	}
	return claims, t.Claims(&claims)
}
