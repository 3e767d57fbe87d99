// Package echoauth carries package middleware into echo v4: who calls is verified,
// logins in cookies live on past the end of their access tokens, and handlers
// find the token in their [echo.Context].
//
//	package main
//
//	import (
//		"log"
//		"net/http"
//
//		"github.com/labstack/echo/v4"
//
//		"github.com/tokenlife/tokenlife/middleware"
//		"github.com/tokenlife/tokenlife/middleware/echoauth"
//		"github.com/tokenlife/tokenlife/middleware/verify"
//		"github.com/tokenlife/tokenlife/refresh"
//		"github.com/tokenlife/tokenlife/refresh/discovery"
//	)
//
//	func main() {
//		const issuer = "https://login.example"
//		tokens, err := verify.New(verify.Issuer{URL: issuer, Audience: []string{"https://api.example"}})
//		if err != nil {
//			log.Fatal(err)
//		}
//		auth := &middleware.Auth{
//			Verifier:  tokens,
//			Refresher: &refresh.OAuth2{ClientID: "web", Discovery: &discovery.Provider{Issuer: issuer}},
//		}
//		e := echo.New()
//		e.POST("/auth/refresh", echo.WrapHandler(auth.RefreshHandler()))
//		e.POST("/auth/logout", echo.WrapHandler(auth.Logout(nil)))
//		api := e.Group("/api", echoauth.Require(auth))
//		api.GET("/hello", func(c echo.Context) error {
//			token, _ := echoauth.Token(c)
//			return c.String(http.StatusOK, "hello "+token.Subject)
//		})
//		api.DELETE("/notes/:id", func(c echo.Context) error {
//			return c.NoContent(http.StatusNoContent) // only for tokens with the scope
//		}, echoauth.RequireScope(auth, "write"))
//		log.Fatal(http.ListenAndServe("localhost:8080", e))
//	}
//
// It does not show how users sign in: echo.WrapHandler takes the handlers of package
// login as well, and the handler of a form of the site's own ends in
// auth.SignIn(c.Response(), c.Request(), tokens).
//
// # Errors
//
// A handler's error is given to the HTTPErrorHandler of echo within the
// middleware, not when the whole chain has returned: the header of the answer is
// where new cookies go, and a 401 may be a reason to refresh the login and run the
// handler again. The error is returned as well, for middleware further out that
// logs it. The HTTPErrorHandler is called with it a second time then, and has to
// leave alone an answer that is committed, as echo's own does.
//
// A refused request is answered by package middleware (see the OnError of its
// Auth) and is no error to echo.
//
// # echo v5
//
// echo v5 does without this package: echo.WrapMiddleware(auth.Require) is its
// middleware, and Optional or KeepAlive of the Auth stand around the whole, where a
// handler that has answered 401 is to be run again with a new token.
package echoauth
