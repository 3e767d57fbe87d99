// Package local is an issuer for a service's own users: it signs their access
// tokens, publishes the keys, and rotates their refresh tokens.
//
// It is for a service that authenticates its users itself, by a password or a
// passkey, and wants their logins to work like those of a provider. A program
// that checks a form and signs the user in:
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
// The Issuer makes the signing keys, and replaces them once a day. A new key is
// published a quarter of an hour before it signs, so that services that cache
// the key set know it by then. An old key is published until its last token has
// expired. No rotation signs a user out.
//
// Without a Secret, the keys live as long as the program. Access tokens from
// before a restart, or of another replica, are not accepted then. Logins that
// the Store has are: the next request gets a new access token, and the user
// does not notice. With a Secret, the keys are in the Store as well, and
// replicas share them.
//
// # Logins
//
// Logins are kept by package sessions. Each refresh replaces the refresh token.
// A replaced token that is presented after its Grace may have been stolen, and
// so it ends the login.
package local
