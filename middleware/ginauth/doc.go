// Package ginauth carries package middleware into gin: who calls is verified,
// logins in cookies live on past the end of their access tokens, and handlers
// find the token in their [gin.Context].
//
//	package main
//
//	import (
//		"log"
//		"net/http"
//
//		"github.com/gin-gonic/gin"
//
//		"github.com/tokenlife/tokenlife/middleware"
//		"github.com/tokenlife/tokenlife/middleware/ginauth"
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
//		engine := gin.New()
//		engine.POST("/auth/refresh", gin.WrapH(auth.RefreshHandler()))
//		engine.POST("/auth/logout", gin.WrapH(auth.Logout(nil)))
//		api := engine.Group("/api", ginauth.Require(auth))
//		api.GET("/hello", func(c *gin.Context) {
//			token, _ := ginauth.Token(c)
//			c.String(http.StatusOK, "hello %s", token.Subject)
//		})
//		api.DELETE("/notes/:id", ginauth.RequireScope(auth, "write"), func(c *gin.Context) {
//			c.Status(http.StatusNoContent) // only for tokens with the scope
//		})
//		log.Fatal(http.ListenAndServe("localhost:8080", auth.Optional(engine)))
//	}
//
// It does not show how users sign in: gin.WrapH takes the handlers of package login
// as well, and the handler of a form of the site's own ends in
// auth.SignIn(c.Writer, c.Request, tokens).
//
// # A handler that answers 401
//
// Package middleware refreshes the login at a handler's 401 and runs the handler
// again. Gin runs a chain of handlers once, so within the engine that 401 is the
// answer. Around the engine it is done as everywhere: auth.Optional(engine), as
// above, or auth.KeepAlive(engine), which also leaves alone the bearer tokens of
// routes that verify others. The middleware within then decides on what the one
// around has renewed; tokens are exchanged once.
//
// # What gin's own middleware logs
//
// [gin.Recovery] writes the header of a request into the log whose client has
// gone, or whose handler panics while gin is in its debug mode. It masks
// Authorization and not Cookie, which holds the login: give it a writer that
// nobody reads, as in gin.RecoveryWithWriter(io.Discard).
package ginauth
