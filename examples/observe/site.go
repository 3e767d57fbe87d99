package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/tokenlife/tokenlife/examples/observe/otelevents"
	"github.com/tokenlife/tokenlife/examples/observe/prom"
	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/event"
	"github.com/tokenlife/tokenlife/refresh/local"
)

// A site is the handler, and what to close after its server.
type site struct {
	http.Handler
	tokens      *verify.JWT
	coordinator *refresh.Coordinator
	auth        *middleware.Auth
}

// newSite returns a site whose events go to the log, to m and to o. The Auth hands
// its Observe on to the other parts. A program that wants a log alone sets it to
// event.Log(log).
func newSite(log *slog.Logger, m *prom.Metrics, o *otelevents.Events) (*site, error) {
	issuer := &fragile{Issuer: local.Issuer{
		URL:      "https://issuer.example", // a name; nobody calls it
		Audience: []string{"observe"},
		Life:     20 * time.Second,
	}}
	tokens, err := verify.New(verify.Issuer{URL: issuer.URL, Keys: issuer.JWKS, Audience: issuer.Audience})
	if err != nil {
		return nil, err
	}
	coordinator := &refresh.Coordinator{Refresher: issuer}
	auth := &middleware.Auth{
		Verifier:  tokens,
		Refresher: coordinator,
		Observe:   all(m.Observe, o.Observe, event.Log(log)),
	}
	if err := errors.Join(issuer.Validate(), auth.Validate()); err != nil {
		return nil, err
	}

	mux := http.NewServeMux()
	mux.Handle("GET /api/hello", auth.Require(http.HandlerFunc(hello)))
	mux.Handle("/auth/refresh", auth.RefreshHandler())
	mux.Handle("/auth/logout", auth.Logout(nil))
	mux.HandleFunc("POST /outage", issuer.breakDown)
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		login, err := issuer.Login(r.Context(), r.PostFormValue("user")) // a program of yours checks a password first
		if err == nil {
			err = auth.SignIn(w, r, login)
		}
		if err != nil {
			middleware.WriteError(w, r, err)
		}
	})
	return &site{http.NewCrossOriginProtection().Handler(mux), tokens, coordinator, auth}, nil
}

// Close waits for what is under way and stops the verifier.
func (s *site) Close() error {
	return errors.Join(s.auth.Close(), s.coordinator.Close(), s.tokens.Close())
}

// all returns a hook that calls each of these.
func all(hooks ...event.Hook) event.Hook {
	return func(ctx context.Context, e event.Event) {
		for _, hook := range hooks {
			hook.Tell(ctx, e)
		}
	}
}

func hello(w http.ResponseWriter, r *http.Request) {
	token, _ := middleware.FromContext(r.Context()) // Require has seen to it
	fmt.Fprintln(w, "hello", token.Subject)
}

// A fragile issuer breaks down when it is told to, so that there is something to
// be seen.
type fragile struct {
	local.Issuer
	down atomic.Bool
}

// Refresh fails while the issuer is down.
func (f *fragile) Refresh(ctx context.Context, old refresh.Tokens) (refresh.Tokens, error) {
	if f.down.Load() {
		return refresh.Tokens{}, errors.New("observe: the issuer is down")
	}
	return f.Issuer.Refresh(ctx, old)
}

// breakDown takes the issuer down, and the next time up again.
func (f *fragile) breakDown(w http.ResponseWriter, _ *http.Request) {
	down := !f.down.Load()
	f.down.Store(down)
	fmt.Fprintln(w, "the issuer is down:", down)
}
