// Command gin is a site on gin whose access tokens live 20 seconds, and whose logins do not.
package main

import (
	"cmp"
	"context"
	"html"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/ginauth"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh/local"
)

func main() {
	issuer := &local.Issuer{URL: "https://gin.example", Audience: []string{"gin"}, Life: 20 * time.Second, Claims: scopes}
	tokens, err := verify.New(verify.Issuer{URL: issuer.URL, Keys: issuer.JWKS, Audience: issuer.Audience})
	if err != nil {
		log.Fatal(err)
	}
	defer tokens.Close()
	auth := &middleware.Auth{Verifier: tokens, Refresher: issuer}
	defer auth.Close()
	server := &http.Server{Addr: cmp.Or(os.Getenv("LISTEN"), "localhost:8080"), Handler: newSite(auth, issuer), ReadHeaderTimeout: 5 * time.Second}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	drained := make(chan error)
	context.AfterFunc(ctx, func() { stop(); drained <- server.Shutdown(context.Background()) })
	log.Printf("http://%s", server.Addr)
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		log.Fatal(err)
	}
	<-drained
}

func newSite(auth *middleware.Auth, issuer *local.Issuer) http.Handler {
	site := gin.New()
	site.GET("/", home)
	site.GET("/api/hello", ginauth.Require(auth), hello)
	site.POST("/api/hello", ginauth.RequireScope(auth, "write"), hello)
	site.POST("/auth/refresh", gin.WrapH(auth.RefreshHandler()))
	site.POST("/auth/logout", gin.WrapH(auth.Logout(nil)))
	site.POST("/login", func(c *gin.Context) {
		login, err := issuer.Login(c.Request.Context(), c.PostForm("user")) // after checking the password
		if err == nil {
			err = auth.SignIn(c.Writer, c.Request, login)
		}
		if err != nil {
			middleware.WriteError(c.Writer, c.Request, err)
			return
		}
		c.Redirect(http.StatusSeeOther, "/")
	})
	// Around it all: only so can a handler that answers 401 be run again.
	return http.NewCrossOriginProtection().Handler(auth.Optional(site))
}

func home(c *gin.Context) {
	page := `<form method="post" action="/login"><input name="user" placeholder="Name"><button>Sign in</button></form>`
	if token, ok := ginauth.Token(c); ok {
		page = html.EscapeString(token.Subject) + `<form method="post" action="/auth/logout"><button>Sign out</button></form>`
	}
	c.Data(http.StatusOK, "text/html; charset=utf-8", []byte(page))
}

func hello(c *gin.Context) {
	token, _ := ginauth.Token(c)
	c.String(http.StatusOK, "hello %s\n", token.Subject)
}

func scopes(_ context.Context, user string) (map[string]any, error) {
	return map[string]any{"scope": "read write"}, nil // what this user may do
}
