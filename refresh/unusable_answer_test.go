package refresh_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

var errUnusable = errors.New("test: the answer cannot be used")

// unusable makes the first answers of a provider such that they cannot be used,
// but for the refresh token in them.
func unusable(p refresh.Refresher, n int) refresh.Refresher {
	return refresh.Func(func(ctx context.Context, old refresh.Tokens) (refresh.Tokens, error) {
		next, err := p.Refresh(ctx, old)
		if err == nil && n > 0 {
			n--
			return refresh.Tokens{Access: "nothing-" + next.Refresh, Refresh: next.Refresh, Expiry: time.Now()}, errUnusable
		}
		return next, err
	})
}

// A refresh token that came with an answer that cannot be used is not lost.
func TestPromise01AnUnusableAnswerCostsNoLogin(t *testing.T) {
	coordinated(t, func(t *testing.T, c *refresh.Coordinator) {
		p := new(strict)
		c.Refresher = unusable(p, 2)
		_, err := c.Refresh(t.Context(), start("u"))
		if !errors.Is(err, errUnusable) || errors.Is(err, refresh.ErrDenied) {
			t.Fatalf("error is %v, want that of the Refresher", err)
		}
		p.expect(t, 1, 0)
		<-time.After(time.Minute) // longer than grace
		r, err := c.Renew(t.Context(), start("u"))
		if err != nil || r.Tokens.Refresh != generation("u", 1).Refresh || !r.Remembered {
			t.Fatalf("Renew = %+v, %v, want what is remembered", r, err)
		}
		// What a caller does whose new access token is not good.
		if _, err := r.Renew(t.Context()); !errors.Is(err, errUnusable) {
			t.Fatalf("error is %v, want that of the Refresher", err)
		}
		next, err := r.Renew(t.Context())
		for ; err == nil && next.Tokens.Access != generation("u", 3).Access; next, err = next.Renew(t.Context()) {
		}
		if err != nil || next.Tokens != generation("u", 3) {
			t.Fatalf("Renew = %+v, %v, want generation 3", next, err)
		}
		p.expect(t, 3, 0)
		mustRefresh(t, c, start("u"), generation("u", 3))
		p.expect(t, 3, 0)
	})
}

func TestPromise01AnUnusableAnswerIsSharedByReplicas(t *testing.T) {
	p := new(strict)
	replicated(t, 2, unusable(p, 1), func(t *testing.T, _ *refreshtest.FaultyStore, replicas []*refresh.Coordinator) {
		if _, err := replicas[0].Refresh(t.Context(), start("u")); !errors.Is(err, errUnusable) {
			t.Fatalf("error is %v, want that of the Refresher", err)
		}
		r, err := replicas[1].Renew(t.Context(), start("u"))
		if err == nil {
			r, err = r.Renew(t.Context())
		}
		if err != nil || r.Tokens != generation("u", 2) {
			t.Fatalf("Renew = %+v, %v, want generation 2", r, err)
		}
		p.expect(t, 2, 0)
	})
}

// An error with the old tokens, or one that ends the login, is only an error.
func TestAnErrorWithOldTokensBringsNothing(t *testing.T) {
	coordinated(t, func(t *testing.T, c *refresh.Coordinator) {
		for err, next := range map[error]refresh.Tokens{
			errUnusable:       start("u"),
			refresh.ErrDenied: generation("u", 1),
		} {
			c := &refresh.Coordinator{Store: c.Store, Refresher: refresh.Func(func(context.Context, refresh.Tokens) (refresh.Tokens, error) { return next, err })}
			for range 2 {
				if _, got := c.Refresh(t.Context(), start("u")); !errors.Is(got, err) {
					t.Errorf("error is %v, want %v", got, err)
				}
			}
			c.Close()
		}
	}, noStore)
}
