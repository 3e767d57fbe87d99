// Command echo is a site on echo whose access tokens live 20 seconds, and whose logins do not.
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

	"github.com/labstack/echo/v4"
	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/echoauth"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh/local"
)

func main() {
	issuer := &local.Issuer{URL: "https://echo.example", Audience: []string{"echo"}, Life: 20 * time.Second, Claims: scopes}
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
	site := echo.New()
	site.GET("/", home, echoauth.Optional(auth))
	site.GET("/api/hello", hello, echoauth.Require(auth))
	site.POST("/api/hello", hello, echoauth.RequireScope(auth, "write"))
	site.POST("/auth/refresh", echo.WrapHandler(auth.RefreshHandler()))
	site.POST("/auth/logout", echo.WrapHandler(auth.Logout(nil)))
	site.POST("/login", func(c echo.Context) error {
		login, err := issuer.Login(c.Request().Context(), c.FormValue("user")) // after checking the password
		if err == nil {
			err = auth.SignIn(c.Response(), c.Request(), login)
		}
		if err != nil {
			middleware.WriteError(c.Response(), c.Request(), err)
			return err
		}
		return c.Redirect(http.StatusSeeOther, "/")
	})
	return http.NewCrossOriginProtection().Handler(site)
}

func home(c echo.Context) error {
	page := `<form method="post" action="/login"><input name="user" placeholder="Name"><button>Sign in</button></form>`
	if token, ok := echoauth.Token(c); ok {
		page = html.EscapeString(token.Subject) + `<form method="post" action="/auth/logout"><button>Sign out</button></form>`
	}
	return c.HTML(http.StatusOK, page)
}

func hello(c echo.Context) error {
	token, _ := echoauth.Token(c)
	return c.String(http.StatusOK, "hello "+token.Subject+"\n")
}

func scopes(_ context.Context, user string) (map[string]any, error) {
	return map[string]any{"scope": "read write"}, nil // what this user may do
}
