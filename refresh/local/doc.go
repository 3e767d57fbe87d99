// Package local is an issuer for a service's own users: it signs their access
// tokens, publishes the key, and rotates their refresh tokens.
//
// It is for a service that knows its users already, by a password or a passkey
// of its own, and wants their logins to work as those of a provider do. A
// program that checks a form and signs the user in:
//
//	package main
//
//	import (
//		"log"
//		"net/http"
//
//		"github.com/tokenlife/tokenlife/middleware"
//		"github.com/tokenlife/tokenlife/middleware/verify"
//		"github.com/tokenlife/tokenlife/refresh/local"
//	)
//
//	func main() {
//		issuer := &local.Issuer{
//			URL:      "https://shop.example",
//			Audience: []string{"shop"},
//		}
//		tokens, err := verify.New(verify.Issuer{
//			URL:      issuer.URL,
//			Keys:     issuer.JWKS,
//			Audience: issuer.Audience,
//		})
//		if err != nil {
//			log.Fatal(err)
//		}
//		auth := &middleware.Auth{Verifier: tokens, Refresher: issuer}
//		if err := auth.Validate(); err != nil {
//			log.Fatal(err)
//		}
//		mux := http.NewServeMux()
//		mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
//			user := r.FormValue("user")
//			if !check(user, r.FormValue("password")) {
//				http.Error(w, "No such user or password.", http.StatusForbidden)
//				return
//			}
//			login, err := issuer.Login(r.Context(), user)
//			if err == nil {
//				err = auth.SignIn(w, r, login)
//			}
//			if err != nil {
//				middleware.WriteError(w, r, err)
//				return
//			}
//			http.Redirect(w, r, "/", http.StatusSeeOther)
//		})
//		mux.Handle("/auth/logout", auth.Logout(nil))
//		mux.Handle("/", auth.Require(http.FileServer(http.Dir("private"))))
//		// Other sites' pages must not sign anybody in here.
//		log.Fatal(http.ListenAndServe("localhost:8080", http.NewCrossOriginProtection().Handler(mux)))
//	}
//
//	// check is your own: the hash of a password, or a passkey. Until it is
//	// written, nobody signs in.
//	func check(user, password string) bool { return false }
//
// # Keys
//
// The signing keys are made by the Issuer, which replaces them once a day. A new
// key is published a quarter of an hour before it signs, so that services which
// keep the set for a while know it by then, and an old one until the last token
// that it has signed has expired: nobody is signed out.
//
// Without a Secret the keys live as long as the program. After a restart, and at
// another replica, access tokens of before are no longer good, while logins are
// as long as the Store has them: the next request gets a new access token
// without anybody noticing. With a Secret, the keys are in the Store as well, and
// replicas share them.
//
// # Logins
//
// They are those of package sessions: each refresh replaces the refresh token,
// and whoever presents one that was replaced before ends the login for everybody.
package local
