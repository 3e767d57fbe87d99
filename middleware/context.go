package middleware

import (
	"context"

	"github.com/tokenlife/tokenlife/middleware/verify"
)

// NewContext returns a copy of ctx in which [FromContext] and [Claims] find t,
// for code that calls a handler itself: a test, or an authentication of another
// kind that serves the same handlers. What t says is believed: whoever calls it
// vouches that it has been verified.
func NewContext(ctx context.Context, t *verify.Token) context.Context {
	return context.WithValue(ctx, tokenKey{}, t)
}
