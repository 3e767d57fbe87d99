package contender

import (
	"net/http"
	"perfharness/fixture"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/verify"
)

// ours is this project's handler in the benchmark beside its Go peers. The next
// handler is kept from the inliner, as the peers' are: a middleware never knows
// what it wraps, and an inlined handler would keep the request off the heap.
func ours(e *fixture.Env, alg string) (http.Handler, error) {
	verifier, err := verify.New(verify.Issuer{
		URL:        fixture.Issuer,
		KeysURL:    e.JWKSURL(alg),
		Audience:   []string{fixture.ClientID},
		Algorithms: []string{alg},
	})
	if err != nil {
		return nil, err
	}
	auth := &middleware.Auth{Verifier: verifier}
	return auth.Require(handler(func(w http.ResponseWriter, r *http.Request) {
		token, _ := middleware.FromContext(r.Context())
		Done(w, token.Subject)
	})), nil
}
