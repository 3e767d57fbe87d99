package middleware

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
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

// An EndedLogin is what [Auth.Logout] has ended. All but ReturnTo is zero if
// the request had no login.
type EndedLogin struct {
	// Tokens are those that the request's cookies held: handles, if a
	// [refresh.Keeper] keeps the tokens. Tokens.ID is the ID token of the login
	// in either case. It may have expired. It is empty if neither the cookies
	// (see [cookies.Policy].KeepID) nor the Keeper have kept it.
	Tokens refresh.Tokens

	// Issuer and Subject say whose login it was, by its access token. Both are
	// empty if the signature of that could not be verified.
	Issuer, Subject string

	// ReturnTo is where the user wants to go: a path on this origin.
	ReturnTo string
}

// Logout returns the handler that signs the user out, by POST: see
// [Auth.SignOut].
//
// A request of a script is answered with 204. After a form of a page, next
// answers, as [login.Flow.EndSession] does, which leads on to the sign-out page
// of a provider. Its request has the cookies of the login, which has ended, and
// its ResponseWriter the cookies that delete them. If next is nil, the form is
// redirected, with 303, to ReturnTo: the path in the request's parameter
// return_to, or "/" if that is absent or no path on this origin.
//
// [login.Flow.EndSession]: https://pkg.go.dev/github.com/tokenlife/tokenlife/middleware/login#Flow.EndSession
func (a *Auth) Logout(next func(w http.ResponseWriter, r *http.Request, ended EndedLogin)) http.Handler {
	a.mustBeValid()
	return onlyPost(func(w http.ResponseWriter, r *http.Request) {
		if err := a.sameOrigin(r); err != nil {
			a.refuse(w, r, a.refusal(err))
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		to := ReturnTo(r.FormValue("return_to"))
		switch {
		case !wantsPage(r):
			a.SignOut(w, r)
			w.WriteHeader(http.StatusNoContent)
		case next == nil:
			a.SignOut(w, r)
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusSeeOther)
		default:
			id := a.idToken(r) // first, as a Keeper forgets it
			ended := a.signOut(w, r)
			ended.Tokens.ID, ended.ReturnTo = id, to
			next(w, r, ended)
		}
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
