package recipes

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	_ "github.com/tokenlife/tokenlife/internal/race"
	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/middlewaretest"
)

// hello is the handler of most recipes.
func hello(w http.ResponseWriter, r *http.Request) {
	token, ok := middleware.FromContext(r.Context())
	if !ok {
		fmt.Fprintln(w, "hello, stranger")
		return
	}
	fmt.Fprintln(w, "hello", token.Subject)
}

// expired are the claims of an access token that has ended.
func expired(subject string) map[string]any {
	return map[string]any{"sub": subject, "iat": 1, "exp": 2}
}

// returning is a request of a browser whose access token has ended.
func returning(auth *middleware.Auth, p *middlewaretest.Provider, subject, method, target string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	middlewaretest.SignIn(auth, r, p.Login(expired(subject)))
	return r
}

// serve returns what h answers.
func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}
