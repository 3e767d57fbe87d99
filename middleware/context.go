package middleware

import (
	"context"
	"errors"

	"github.com/tokenlife/tokenlife/middleware/verify"
)

// NewContext returns a copy of ctx in which [FromContext] and [Claims] find t.
// It is for tests of handlers, and for another kind of authentication before
// the same handlers. The caller has verified t.
func NewContext(ctx context.Context, t *verify.Token) context.Context {
	return context.WithValue(ctx, tokenKey{}, t)
}

// A tokenKey is the key of the token in a context.
type tokenKey struct{}

// Value returns the token for a tokenKey. The context of a request is a
// decision.
func (d *decision) Value(key any) any {
	if key == (tokenKey{}) {
		return d.token
	}
	return d.Context.Value(key)
}

// FromContext returns the verified access token of the request whose context
// ctx is. It returns false if there is none. The token is shared, and must not
// be changed.
func FromContext(ctx context.Context) (*verify.Token, bool) {
	t, _ := ctx.Value(tokenKey{}).(*verify.Token)
	return t, t != nil
}

// Claims decodes the claims of the request's access token into a T, which is a
// struct with json tags or a map[string]any. It returns an error if the context
// has no token, or if a claim is of another type than its field in T.
func Claims[T any](ctx context.Context) (T, error) {
	var claims T
	t, ok := FromContext(ctx)
	if !ok {
		return claims, errors.New("middleware: no token in this context")
	}
	return claims, t.Claims(&claims)
}
