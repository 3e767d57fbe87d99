package main

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/sessions"
)

// A deviceView is one login as its user sees it.
type deviceView struct {
	ID       string    `json:"id"`
	Device   string    `json:"device"`
	Since    time.Time `json:"since"`
	LastUsed time.Time `json:"last_used"`
	Current  bool      `json:"current"` // the one that asks
}

// list returns the logins of the user who asks.
func (s *site) list(r *http.Request) ([]deviceView, error) {
	token, _ := middleware.FromContext(r.Context())
	logins, err := s.issuer.Logins(r.Context(), token.Subject)
	if err != nil {
		return nil, err
	}
	current := session(r)
	views := []deviceView{}
	for _, l := range logins {
		views = append(views, deviceView{l.ID, l.Device, l.Since.UTC(), l.LastUsed.UTC(), l.Session == current})
	}
	return views, nil
}

// session returns the claim that tells which of a user's logins a request has.
func session(r *http.Request) string {
	claims, _ := middleware.Claims[struct {
		Session string `json:"sid"`
	}](r.Context())
	return claims.Session
}

func (s *site) devices(w http.ResponseWriter, r *http.Request) {
	views, err := s.list(r)
	if err != nil {
		middleware.WriteError(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, views)
}

// endDevice signs one of the user's devices out.
func (s *site) endDevice(w http.ResponseWriter, r *http.Request) {
	token, _ := middleware.FromContext(r.Context())
	id := r.PathValue("id")
	if tokens, err := s.auth.Cookies.Read(r); err == nil && sessions.ID(tokens) == id {
		s.auth.SignOut(w, r) // this one: its cookies go as well
		s.done(w, r, nil)
		return
	}
	switch err := s.issuer.End(r.Context(), token.Subject, id); {
	case errors.Is(err, refresh.ErrNotFound):
		s.fail(w, r, http.StatusNotFound, "This device is not signed in.")
	case err != nil:
		middleware.WriteError(w, r, err)
	default:
		s.done(w, r, nil)
	}
}

// logoutEverywhere signs all of the user's devices out, this one included.
func (s *site) logoutEverywhere(w http.ResponseWriter, r *http.Request) {
	token, _ := middleware.FromContext(r.Context())
	if err := s.issuer.EndAll(r.Context(), token.Subject); err != nil {
		middleware.WriteError(w, r, err)
		return
	}
	s.auth.SignOut(w, r)
	s.done(w, r, nil)
}

// device returns how a user may know a browser again. It believes what the
// browser says; nothing depends on it.
func device(userAgent string) string {
	first := func(pairs ...string) string {
		for n := 0; n < len(pairs); n += 2 {
			if strings.Contains(userAgent, pairs[n]) {
				return pairs[n+1]
			}
		}
		return ""
	}
	// The order matters: most browsers say that they are others as well.
	browser := first("Edg/", "Edge", "OPR/", "Opera", "Firefox/", "Firefox", "Chrome/", "Chrome", "Safari/", "Safari", "curl/", "curl")
	system := first("iPhone", "iPhone", "iPad", "iPad", "Android", "Android", "Windows", "Windows", "Mac OS X", "macOS", "Linux", "Linux")
	switch {
	case browser != "" && system != "":
		return browser + " on " + system
	case browser != "" || system != "":
		return browser + system
	}
	return "Unknown device"
}
