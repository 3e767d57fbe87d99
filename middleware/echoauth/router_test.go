package echoauth_test

import (
	"net/http"
	"testing"

	"github.com/labstack/echo/v4"
	echomiddleware "github.com/labstack/echo/v4/middleware"

	"github.com/tokenlife/tokenlife/middleware/echoauth"
	"github.com/tokenlife/tokenlife/middleware/middlewaretest/routertest"
)

func TestRouter(t *testing.T) {
	routertest.Run(t, routertest.Router{Handler: newSite, Again: true})
}

func newSite(s *routertest.Site) http.Handler {
	a := s.Auth
	e := echo.New()
	require := echoauth.Require(a)
	on := func(f func(http.ResponseWriter)) echo.HandlerFunc {
		return func(c echo.Context) error {
			f(c.Response())
			return nil
		}
	}
	e.GET("/private", subject, require)
	e.POST("/private", sent, require)
	e.GET("/public", subject, echoauth.Optional(a))
	e.GET("/write", subject, echoauth.RequireScope(a, "write"))
	e.GET("/staff", subject, echoauth.RequireGroup(a, "staff"))
	e.GET("/renewed", func(c echo.Context) error { return c.String(http.StatusOK, s.Subject(c.Request())) }, echoauth.KeepAlive(a))
	e.Group("/nested", require).GET("", subject, echoauth.RequireScope(a, "write"), echoauth.Optional(a))
	e.GET("/empty", func(c echo.Context) error { return c.NoContent(http.StatusNoContent) }, require)
	e.GET("/moody", func(c echo.Context) error {
		if token, ok := echoauth.Token(c); ok && s.Denied(token) {
			return echo.ErrUnauthorized
		}
		return subject(c)
	}, require)
	e.POST("/moody", func(c echo.Context) error {
		if token, ok := echoauth.Token(c); ok && s.Denied(token) {
			c.Response().Header().Set("WWW-Authenticate", "Bearer")
			return echo.ErrUnauthorized
		}
		return sent(c)
	}, require)
	e.GET("/stream", on(s.Stream), require)
	e.GET("/hijack", on(s.Hijack), require)
	e.GET("/abort", on(s.Abort), require)
	e.GET("/panic", on(func(http.ResponseWriter) { panic("a handler's mistake") }), quiet, require)
	return e
}

var quiet = echomiddleware.RecoverWithConfig(echomiddleware.RecoverConfig{DisablePrintStack: true})

func subject(c echo.Context) error {
	name := "nobody"
	if token, ok := echoauth.Token(c); ok {
		name = token.Subject
	}
	return c.String(http.StatusOK, name)
}

func sent(c echo.Context) error {
	return c.Stream(http.StatusOK, "text/plain", c.Request().Body)
}
