package main

import (
	"context"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"strings"

	"github.com/tokenlife/tokenlife/middleware"
)

// credentials are what a user types, in a form or as JSON.
type credentials struct {
	Email    string `json:"email"`
	Password string `json:"password"`
}

func readCredentials(r *http.Request) (c credentials, err error) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch kind {
	case "application/json":
		err = json.NewDecoder(r.Body).Decode(&c)
	case "application/x-www-form-urlencoded":
		if err = r.ParseForm(); err == nil {
			c = credentials{r.PostForm.Get("email"), r.PostForm.Get("password")}
		}
	default:
		err = errors.New("neither a form nor JSON")
	}
	return c, err
}

func (s *site) register(w http.ResponseWriter, r *http.Request) { s.enter(w, r, s.users.register) }
func (s *site) login(w http.ResponseWriter, r *http.Request)    { s.enter(w, r, s.users.check) }

// enter signs a user in, whom who finds or makes.
func (s *site) enter(w http.ResponseWriter, r *http.Request, who func(ctx context.Context, email, password string) (user, error)) {
	c, err := readCredentials(r)
	if err != nil {
		s.fail(w, r, http.StatusBadRequest, "Send an e-mail address and a password.")
		return
	}
	account := strings.ToLower(strings.TrimSpace(c.Email))
	// What is too long to be an account's is not remembered as one.
	if !s.byAddress.allow(client(r)) || len(account) <= maxEmail && !s.byAccount.allow(account) {
		w.Header().Set("Retry-After", "20")
		s.fail(w, r, http.StatusTooManyRequests, "That was too often. Wait a little and try again.")
		return
	}
	u, err := who(r.Context(), c.Email, c.Password)
	switch {
	case errors.Is(err, errNoMatch):
		s.fail(w, r, http.StatusForbidden, "The e-mail address or the password is wrong.")
	case errors.Is(err, errTaken):
		s.fail(w, r, http.StatusConflict, "There is an account with this e-mail address already.")
	case errors.Is(err, errEmail):
		s.fail(w, r, http.StatusUnprocessableEntity, "This is not an e-mail address.")
	case errors.Is(err, errPassword):
		s.fail(w, r, http.StatusUnprocessableEntity, "A password has 8 characters or more, and 256 bytes at most.")
	case err != nil:
		middleware.WriteError(w, r, err)
	default:
		s.signIn(w, r, u)
	}
}

// signIn begins a login on the device that r comes from. The one that it held
// before is over, and goes from the list.
func (s *site) signIn(w http.ResponseWriter, r *http.Request, u user) {
	tokens, err := s.issuer.LoginOn(r.Context(), u.ID, device(r.UserAgent()))
	if err == nil {
		err = s.auth.SignIn(w, r, tokens)
	}
	if err != nil {
		middleware.WriteError(w, r, err)
		return
	}
	s.done(w, r, map[string]string{"id": u.ID, "email": u.Email})
}

// done answers what has succeeded: to a browser with the page, to others with
// JSON or, where there is nothing to tell, with nothing.
func (s *site) done(w http.ResponseWriter, r *http.Request, answer any) {
	switch {
	case wantsPage(r):
		http.Redirect(w, r, "/", http.StatusSeeOther)
	case answer == nil:
		w.WriteHeader(http.StatusNoContent)
	default:
		writeJSON(w, http.StatusOK, answer)
	}
}

// fail answers what has not, in words for the user.
func (s *site) fail(w http.ResponseWriter, r *http.Request, status int, words string) {
	if wantsPage(r) {
		s.show(w, status, view{Problem: words})
		return
	}
	writeJSON(w, status, map[string]string{"error": words})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // fails only where the client has left
}

// wantsPage tells a browser that shows a page from a script.
func wantsPage(r *http.Request) bool {
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate"
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}
