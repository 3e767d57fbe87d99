package sessions

import (
	"context"
	"fmt"

	"github.com/tokenlife/tokenlife/refresh"
)

// A gate stands before the provider. A Coordinator whose Store fails asks the
// provider on its own account, which may be once more than the provider bears:
// with cookies there is nothing better to do. Here nothing is gained by it, since
// the new tokens could not be kept, and so it is not done.
type gate struct{ refresh.Refresher }

// An attempt is in the context of a question to the provider.
type attempt struct{ failed error } // of the Store, before the provider was asked

type attemptKey struct{}

// asking returns a context for one question to the provider.
func asking(ctx context.Context) context.Context {
	return context.WithValue(ctx, attemptKey{}, new(attempt))
}

// observe hears what the Coordinator tells of the Store, on the goroutine on
// which it asks.
func (gate) observe(ctx context.Context, e refresh.Event) {
	if a, ok := ctx.Value(attemptKey{}).(*attempt); ok && e.Kind == refresh.StoreDegraded {
		a.failed = e.Err
	}
}

func (g gate) Refresh(ctx context.Context, old refresh.Tokens) (refresh.Tokens, error) {
	if a, ok := ctx.Value(attemptKey{}).(*attempt); ok && a.failed != nil {
		return refresh.Tokens{}, fmt.Errorf("the provider is not asked without the store: %w", a.failed)
	}
	return g.Refresher.Refresh(ctx, old)
}

// Revoke implements [refresh.Revoker] where the Refresher does.
func (g gate) Revoke(ctx context.Context, t refresh.Tokens) error {
	if r, ok := g.Refresher.(refresh.Revoker); ok {
		return r.Revoke(ctx, t)
	}
	return nil
}
