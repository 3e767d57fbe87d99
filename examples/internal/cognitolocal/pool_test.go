package cognitolocal

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/examples/internal/guard/leak"
	"github.com/tokenlife/tokenlife/examples/internal/need"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/cognito"
)

// start starts a pool that ends with the test. What is not installed skips the
// test; with CI=true in the environment it fails instead.
func start(t *testing.T, c Config) *Pool {
	t.Helper()
	p, err := Start(t.Context(), c)
	if errors.Is(err, ErrMissing) {
		need.Missing(t, err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		leak.Keep(t, "cognitolocal", p.stderr.Bytes())
	})
	return p
}

func TestRefreshCognitoAtAnEmulator(t *testing.T) {
	t.Parallel()
	p := start(t, Config{AccessLife: 100 * time.Second})
	issuer := verify.Cognito("local", p.PoolID, p.ClientID)
	issuer.URL = p.URL + "/" + p.PoolID
	issuer.KeysURL = issuer.URL + "/.well-known/jwks.json"
	verifier, err := verify.New(issuer)
	if err != nil {
		t.Fatal(err)
	}
	defer verifier.Close()
	pool := &cognito.Pool{Endpoint: p.URL, ClientID: p.ClientID}

	first, err := pool.Login(t.Context(), Alice, AlicePassword)
	if err != nil {
		t.Fatal(err)
	}
	alice, err := verifier.Verify(t.Context(), first.Access)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 2 { // first by way of the operation that it does not know
		next, err := pool.Refresh(t.Context(), first)
		if err != nil {
			t.Fatalf("refresh %d: %v", n+1, err)
		}
		again, err := verifier.Verify(t.Context(), next.Access)
		if err != nil || again.Subject != alice.Subject || next.Refresh != first.Refresh || next.ID == "" {
			t.Errorf("refresh %d: %v, %v", n+1, again, err)
		}
		// It says nothing of the time: the access token does.
		if left := time.Until(next.Expiry); left < 80*time.Second || left > 100*time.Second {
			t.Errorf("refresh %d: the access token lives for %v", n+1, left)
		}
	}
	second, err := pool.Login(t.Context(), Alice, AlicePassword)
	if err != nil {
		t.Fatal(err)
	}
	if err := pool.Revoke(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Refresh(t.Context(), first); !errors.Is(err, refresh.ErrDenied) {
		t.Errorf("after the revocation: %v", err)
	}
	if _, err := pool.Refresh(t.Context(), second); err != nil {
		t.Errorf("another login of hers: %v", err)
	}
	for _, c := range []struct{ name, user, password, code string }{
		{"a wrong password", Bob, AlicePassword, "InvalidPasswordException"},
		{"nobody", "nobody@example.com", AlicePassword, "NotAuthorizedException"},
		{"a temporary password", Carol, CarolPassword, "NEW_PASSWORD_REQUIRED"},
	} {
		_, err := pool.Login(t.Context(), c.user, c.password)
		refused, ok := errors.AsType[*refresh.ProviderError](err)
		if !errors.Is(err, refresh.ErrDenied) || !ok || refused.Code != c.code {
			t.Errorf("%s: %v, want %s", c.name, err, c.code)
		}
	}
}

func TestAPoolStopsWhenItsStartIsGivenUp(t *testing.T) {
	t.Parallel()
	start(t, Config{}) // skips where it cannot be started at all
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Start(ctx, Config{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Start = %v, want the cancellation", err)
	}
}
