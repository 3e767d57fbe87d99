package middleware

import (
	"encoding/json"
	"net/http"
	"time"
)

// RefreshHandler returns the handler that scripts call, by POST, when the
// marker is absent. It refreshes the login in the request's cookies. It answers
// 204 and sets the new cookies, 401 if the login has ended, or 503 if that is
// not known now. Any number of calls with the same cookies make one refresh.
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

// Session returns the handler that tells a page, by GET, whether its user is
// signed in: {"authenticated":true,"subject":"…","expires_in":1234}, where
// expires_in is the rest of the access token's life in seconds. It keeps the
// login alive as Optional does.
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

// Logout returns the handler that signs the user out, by POST: see
// [Auth.SignOut].
//
// A request of a script is answered with 204. A form of a page is redirected,
// with 303, to the URL that after returns for the request's parameter
// return_to. The parameter is "/" if it is absent or no path on this origin. If
// after is nil, the URL is the parameter itself.
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

// maxForm is the size limit of the form that Logout reads.
const maxForm = 16 << 10

// wantsPage reports whether a page has sent the form r, and shows the page that
// it is redirected to. Otherwise a script has sent it.
func wantsPage(r *http.Request) bool {
	get := *r
	get.Method = http.MethodGet
	return isNavigation(&get)
}

// onlyPost answers requests of other methods than POST with 405.
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

// seconds returns d in whole seconds, or 0 if d is negative.
func seconds(d time.Duration) int { return max(0, int(d/time.Second)) }
