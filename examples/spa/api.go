package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/verify"
)

// An api keeps a note for each user. Users can also take their access token
// back, to see what becomes of a login whose token is refused before its end.
type api struct {
	tokens middleware.Verifier

	mu        sync.Mutex
	notes     map[string]string // by subject
	takenBack map[string]bool   // by jti; bounded by how often somebody presses a button
}

func newAPI(tokens middleware.Verifier) *api {
	return &api{tokens: tokens, notes: map[string]string{}, takenBack: map[string]bool{}}
}

// Verify implements [middleware.Verifier].
func (a *api) Verify(ctx context.Context, raw string) (*verify.Token, error) {
	token, err := a.tokens.Verify(ctx, raw)
	if err != nil {
		return token, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.takenBack[token.ID] {
		return nil, fmt.Errorf("spa: the token has been taken back: %w", verify.ErrInvalid)
	}
	return token, nil
}

// handler is for requests that have been let through.
func (a *api) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/note", a.note)
	mux.HandleFunc("PUT /api/note", a.setNote)
	mux.HandleFunc("POST /api/take-back", a.takeBack)
	return mux
}

func (a *api) note(w http.ResponseWriter, r *http.Request) {
	token, _ := middleware.FromContext(r.Context()) // Require has seen to it
	a.mu.Lock()
	note := a.notes[token.Subject]
	a.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(map[string]string{"name": token.Subject, "note": note})
}

func (a *api) setNote(w http.ResponseWriter, r *http.Request) {
	token, _ := middleware.FromContext(r.Context())
	note, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<10))
	if err != nil {
		http.Error(w, "A note has at most 1024 bytes.", http.StatusRequestEntityTooLarge)
		return
	}
	a.mu.Lock()
	a.notes[token.Subject] = string(note)
	a.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

func (a *api) takeBack(w http.ResponseWriter, r *http.Request) {
	token, _ := middleware.FromContext(r.Context())
	a.mu.Lock()
	a.takenBack[token.ID] = true
	a.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}
