package middleware

import (
	"encoding/json"
	"net/http"
	"time"
)

// RefreshHandler returns the handler that scripts call, by POST, when the marker has
// gone: it exchanges the tokens in the request's cookies and answers 204 with
// the new cookies, 401 if the login is over, or 503 if that cannot be told now.
// Any number of calls with the same cookies are one exchange.
func (a *Auth) RefreshHandler() http.Handler {
	a.mustBeValid()
	return onlyPost(func(w http.ResponseWriter, r *http.Request) {
		noStore(w.Header())
		d := &decision{Context: r.Context()}
		err := a.decide(r, d, asked)
		a.writeCookies(w, r, d)
		if err != nil {
			a.refuse(w, r, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

// Session returns the handler that tells a page, by GET, whether it is signed
// in: {"authenticated":true,"subject":"…","expires_in":1234}, with the seconds
// that the access token has left. It keeps the login alive as Optional does.
func (a *Auth) Session() http.Handler {
	type answer struct {
		Authenticated bool   `json:"authenticated"`
		Subject       string `json:"subject,omitempty"`
		ExpiresIn     int    `json:"expires_in"`
	}
	return a.handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		noStore(w.Header())
		var s answer
		if t, ok := FromContext(r.Context()); ok {
			s = answer{true, t.Subject, seconds(time.Until(t.Expiry))}
		}
		w.Header()["Content-Type"] = []string{"application/json"}
		_ = json.NewEncoder(w).Encode(s)
	}), session, nil)
}

// Logout returns the handler that signs out, by POST: see [Auth.SignOut]. A
// script is answered with 204. A page is sent on, with 303, to where after says:
// it gets the request's parameter return_to if that is a path on this origin,
// and "/" otherwise. A nil after goes there.
func (a *Auth) Logout(after func(returnTo string) string) http.Handler {
	a.mustBeValid()
	return onlyPost(func(w http.ResponseWriter, r *http.Request) {
		if err := a.sameOrigin(r); err != nil {
			a.refuse(w, r, a.refusal(err))
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		to := ReturnTo(r.FormValue("return_to"))
		a.SignOut(w, r)
		if !wantsPage(r) {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		if after != nil {
			to = after(to)
		}
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusSeeOther)
	})
}

const maxForm = 16 << 10

// wantsPage tells whether a form was sent by a page, which then shows what it is
// sent on to, and not by a script.
func wantsPage(r *http.Request) bool {
	get := *r
	get.Method = http.MethodGet
	return isNavigation(&get)
}

func onlyPost(h http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			WriteError(w, r, &Refusal{Status: http.StatusMethodNotAllowed})
			return
		}
		h(w, r)
	})
}

// seconds is a duration in whole seconds, at least zero.
func seconds(d time.Duration) int { return max(0, int(d/time.Second)) }
