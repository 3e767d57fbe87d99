// Package event has the one type of event that the packages of tokenLife tell,
// and the one type of hook that hears it. It imports none of them.
//
// One line logs all that happens to requests and logins:
//
//	package main
//
//	import (
//		"fmt"
//		"log"
//		"log/slog"
//		"net/http"
//
//		"github.com/tokenlife/tokenlife/middleware"
//		"github.com/tokenlife/tokenlife/middleware/verify"
//		"github.com/tokenlife/tokenlife/refresh/event"
//	)
//
//	func main() {
//		tokens, err := verify.New(verify.Issuer{
//			URL:      "https://issuer.example",
//			Audience: []string{"https://api.example"},
//		})
//		if err != nil {
//			log.Fatal(err)
//		}
//		defer tokens.Close()
//		auth := &middleware.Auth{
//			Verifier: tokens,
//			Observe:  event.Log(slog.Default()),
//		}
//		http.Handle("/", auth.Require(http.HandlerFunc(hello)))
//		log.Print(http.ListenAndServe("localhost:8080", nil))
//	}
//
//	func hello(w http.ResponseWriter, r *http.Request) {
//		token, _ := middleware.FromContext(r.Context())
//		fmt.Fprintln(w, "hello", token.Subject)
//	}
//
// An Auth gives its hook to its Verifier, to its Refresher, and to what stands
// behind that. A part with an Observe of its own keeps it; see [Observable].
//
// A hook of one's own looks at the [Kind], and reads the fields that are listed
// beside the Kind:
//
//	Observe: func(ctx context.Context, e event.Event) {
//		if e.Kind == event.HandleReused {
//			alert(e.Issuer, e.Subject)
//		}
//	}
//
// An event of one request comes with the context of that request. What is done
// for many requests comes once: the call of a provider from a
// refresh.Coordinator, the fetch of a key set from a verify.JWT, the end of a
// login that is kept on the server from sessions.Sessions or a local.Issuer.
package event
