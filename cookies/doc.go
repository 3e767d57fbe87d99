// Package cookies keeps the tokens of a login in a browser's cookies.
//
// The tokens themselves are HttpOnly, so that no script can read them. A fourth
// cookie, the marker tokenLife, is there for scripts: it tells when the access
// token ends and goes away shortly before, it differs at every issue, and it
// reads "0" once the login is over. The marker schedules; it grants nothing.
//
//	__Host-accessToken    the access token         HttpOnly
//	__Host-refreshToken   the refresh token        HttpOnly
//	__Host-idToken        the ID token, if kept    HttpOnly
//	tokenLife             1893456000.Vb3mXk0q      readable by scripts
//
// A [Policy] says how the cookies are named and protected. Its zero value is the
// recommended setting. Values too long for one cookie are split over several and
// put together again; with a [KeyRing] they are sealed as well.
//
// Most programs hand a Policy to package middleware, which calls it at the right
// moments. Used by itself, it looks like this:
//
//	package main
//
//	import (
//		"log"
//		"net/http"
//		"time"
//
//		"github.com/tokenlife/tokenlife/cookies"
//		"github.com/tokenlife/tokenlife/refresh"
//	)
//
//	func main() {
//		var policy cookies.Policy
//		if err := policy.Validate(); err != nil {
//			log.Fatal(err)
//		}
//		http.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
//			login := refresh.Tokens{ // from your provider, once it knows who this is
//				Access:  "an-access-token",
//				Refresh: "a-refresh-token",
//				Expiry:  time.Now().Add(5 * time.Minute),
//			}
//			if err := policy.Write(w, r, login); err != nil {
//				log.Print(err)
//				http.Error(w, "sign-in failed", http.StatusInternalServerError)
//			}
//		})
//		http.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
//			token, err := policy.ReadAccess(r)
//			if err != nil {
//				log.Print(err)
//			}
//			if token == "" { // a real program verifies it as well
//				http.Error(w, "please sign in", http.StatusUnauthorized)
//				return
//			}
//			w.Write([]byte("hello again\n"))
//		})
//		http.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
//			policy.Clear(w, r)
//		})
//		log.Fatal(http.ListenAndServe("localhost:8080", nil))
//	}
//
// # What is in the cookies
//
// An unsealed token of the usual characters, A-Z a-z 0-9 - . _ ~ + / =, is
// written as it is. Every other byte becomes a percent sign and two upper-case
// hexadecimal digits. A cookie of more than 4,096 bytes, name and value together,
// is written as name.0, name.1 and so on, of which the first begins with the
// number of pieces and a short hash of the whole, so that pieces of two logins
// are never taken for one.
//
// Two cookies of one name mean that somebody else set one of them, perhaps on a
// neighbouring host. Neither is believed.
package cookies
