package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/tokenlife/tokenlife/cookies"
	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/login"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/discovery"
)

// An api is what an app's server in Go may be: notes, for those who send an
// access token. It takes one from the Authorization header, which is how it
// comes when the gateway is in front, and from its own cookies.
type api struct {
	http.Handler
	verifier    *verify.JWT
	coordinator *refresh.Coordinator
	auth        *middleware.Auth // for browsers
	rendering   *middleware.Auth // for Next.js as it renders a page
	flow        *login.Flow

	mu    sync.Mutex
	notes map[string][]note // by subject
}

type note struct {
	ID   int    `json:"id"`
	Text string `json:"text"`
}

// newAPI returns the API for tokens of issuer. publicURL is the origin that
// browsers reach it at, by the rewrites of Next.js; the provider sends them back
// there.
func newAPI(issuer, publicURL string) (*api, error) {
	a := &api{notes: map[string][]note{}}
	var err error
	a.verifier, err = verify.New(verify.Issuer{URL: issuer, Audience: []string{"api"}})
	if err != nil {
		return nil, fmt.Errorf("nextjs: %w", err)
	}
	// A rewrite changes Host and leaves Origin, so the two never agree here.
	crossOrigin := http.NewCrossOriginProtection()
	if err := crossOrigin.AddTrustedOrigin(publicURL); err != nil {
		return nil, fmt.Errorf("nextjs: %w", err)
	}
	client := &refresh.OAuth2{ClientID: "client", Discovery: &discovery.Provider{Issuer: issuer}}
	a.coordinator = &refresh.Coordinator{Refresher: client}
	a.auth = &middleware.Auth{
		Verifier: a.verifier, Refresher: a.coordinator, CrossOrigin: crossOrigin, LoginURL: "/auth/login",
		Cookies: cookies.Policy{KeepID: true}, // the provider wants the ID token at a sign-out
	}
	a.rendering = &middleware.Auth{Verifier: a.verifier}
	a.flow = &login.Flow{
		Auth:        a.auth,
		Client:      client,
		RedirectURL: publicURL + "/auth/callback",
		Scopes:      []string{"openid", "offline_access"},
	}
	if err := errors.Join(a.auth.Validate(), a.rendering.Validate(), a.flow.Validate()); err != nil {
		return nil, fmt.Errorf("nextjs: %w", err)
	}

	mux := http.NewServeMux()
	mux.Handle("/auth/login", a.flow.Start())
	mux.Handle("/auth/callback", a.flow.Callback())
	mux.Handle("/auth/refresh", a.auth.RefreshHandler())
	mux.Handle("/auth/logout", a.auth.Logout(a.flow.EndSession))
	mux.Handle("GET /api/me", a.require(a.me))
	mux.Handle("GET /api/notes", a.require(a.list))
	mux.Handle("POST /api/notes", a.require(a.add))
	a.Handler = mux
	return a, nil
}

// require lets requests with a login pass to h.
//
// Next.js sends a browser's new access token before the browser has it: from the
// request that proxy.js has renewed the login for. That must not count as its
// arrival, from which on the old cookies are good for the grace only. So such
// requests, which say so in a header, go past the coordinator. Whoever else sends
// the header merely gets no renewal.
func (a *api) require(h http.HandlerFunc) http.Handler {
	browsing, rendering := a.auth.Require(h), a.rendering.Require(h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Rendering") != "" {
			rendering.ServeHTTP(w, r)
			return
		}
		browsing.ServeHTTP(w, r)
	})
}

// close ends what the API has started, once nothing is served any more.
func (a *api) close() {
	_ = errors.Join(a.flow.Close(), a.auth.Close(), a.rendering.Close(), a.coordinator.Close(), a.verifier.Close())
}

func (a *api) me(w http.ResponseWriter, r *http.Request) {
	token, _ := middleware.FromContext(r.Context())
	writeJSON(w, map[string]any{
		"subject":    token.Subject,
		"expires_in": max(0, int(time.Until(token.Expiry)/time.Second)),
	})
}

func (a *api) list(w http.ResponseWriter, r *http.Request) {
	token, _ := middleware.FromContext(r.Context())
	a.mu.Lock()
	notes := append([]note{}, a.notes[token.Subject]...)
	a.mu.Unlock()
	writeJSON(w, notes)
}

// mostNotes is how many notes are kept of a user, the newest first.
const mostNotes = 20

func (a *api) add(w http.ResponseWriter, r *http.Request) {
	token, _ := middleware.FromContext(r.Context())
	var n note
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4<<10)).Decode(&n)
	if n.Text = strings.TrimSpace(n.Text); err != nil || n.Text == "" {
		http.Error(w, "a note is JSON with a text", http.StatusBadRequest)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	old := a.notes[token.Subject]
	n.ID = 1
	if len(old) > 0 {
		n.ID = old[0].ID + 1
	}
	a.notes[token.Subject] = append([]note{n}, old[:min(len(old), mostNotes-1)]...)
	w.WriteHeader(http.StatusNoContent)
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(v) // an error means that the client has left
}
