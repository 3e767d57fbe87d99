package main

import (
	"net/http"

	"github.com/tokenlife/tokenlife/middleware"
)

// A view is what the page shows.
type view struct {
	Email   string // of the user; empty: nobody is signed in
	Devices []deviceView
	Problem string // what has gone wrong, in words for the user
}

// home shows the forms, or to those who are signed in their devices.
func (s *site) home(w http.ResponseWriter, r *http.Request) {
	token, ok := middleware.FromContext(r.Context())
	if !ok {
		s.show(w, http.StatusOK, view{})
		return
	}
	email, err := s.users.email(r.Context(), token.Subject)
	if err != nil {
		middleware.WriteError(w, r, err)
		return
	}
	devices, err := s.list(r)
	if err != nil {
		middleware.WriteError(w, r, err)
		return
	}
	s.show(w, http.StatusOK, view{Email: email, Devices: devices})
}

func (s *site) show(w http.ResponseWriter, status int, v view) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = s.page.Execute(w, v) // fails only where the browser has left
}
