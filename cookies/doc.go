// Package cookies keeps the tokens of a login in a browser's cookies.
//
// The tokens themselves are HttpOnly, so that no script can read them. A fourth
// cookie, the marker tokenLife, is for scripts. It holds the time at which the
// access token expires, and the browser deletes it shortly before. Each access
// token has a marker of its own. After a sign-out the marker is "0". It is a
// hint for scheduling refreshes, and grants nothing.
//
//	__Host-accessToken    the access token         HttpOnly
//	__Host-refreshToken   the refresh token        HttpOnly
//	__Host-idToken        the ID token, if kept    HttpOnly
//	tokenLife             1893456000.Vb3mXk0q      readable by scripts
//
// A [Policy] says how the cookies are named and protected. Its zero value is
// the recommended setting. Values too long for one cookie are split over
// several and put together again; with a [KeyRing] they are sealed as well.
//
// Most programs hand a Policy to package middleware, which calls it at the
// right moments. Used by itself, it looks like this:
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
// hexadecimal digits. A cookie of more than 4,096 bytes, name and value
// together, is written in pieces, as name.0, name.1 and so on. The first piece
// begins with the number of pieces and a short hash of the whole value, so that
// pieces of two logins are never joined.
//
// Where a request has two cookies of one name, somebody else has set one of
// them, perhaps on a neighbouring host. Neither is used.
package cookies
