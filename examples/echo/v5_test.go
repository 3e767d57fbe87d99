package main_test

import (
	"net/http"
	"testing"

	"github.com/labstack/echo/v5"
	echomiddleware "github.com/labstack/echo/v5/middleware"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/middlewaretest/routertest"
)

// echo v5 needs no adapter: its WrapMiddleware takes the wrappers of net/http. It
// answers for a handler's error when they have returned, so that what runs a
// handler again after a 401 stands around the whole.
func TestEchoV5(t *testing.T) {
	routertest.Run(t, routertest.Router{Handler: newSiteOnV5, Again: false})
}

func newSiteOnV5(s *routertest.Site) http.Handler {
	a := s.Auth
	e := echo.New()
	require := echo.WrapMiddleware(a.Require)
	on := func(f func(http.ResponseWriter)) echo.HandlerFunc {
		return func(c *echo.Context) error {
			f(c.Response())
			return nil
		}
	}
	e.GET("/private", subject, require)
	e.POST("/private", sent, require)
	e.GET("/public", subject, echo.WrapMiddleware(a.Optional))
	e.GET("/write", subject, echo.WrapMiddleware(a.RequireScope("write")))
	e.GET("/staff", subject, echo.WrapMiddleware(a.RequireGroup("staff")))
	e.GET("/renewed", func(c *echo.Context) error { return c.String(http.StatusOK, s.Subject(c.Request())) }, echo.WrapMiddleware(a.KeepAlive))
	e.Group("/nested", require).GET("", subject, echo.WrapMiddleware(a.RequireScope("write")), echo.WrapMiddleware(a.Optional))
	e.GET("/empty", func(c *echo.Context) error { return c.NoContent(http.StatusNoContent) }, require)
	e.GET("/moody", func(c *echo.Context) error {
		if token, ok := middleware.FromContext(c.Request().Context()); ok && s.Denied(token) {
			return echo.ErrUnauthorized
		}
		return subject(c)
	}, require)
	e.POST("/moody", func(c *echo.Context) error {
		if token, ok := middleware.FromContext(c.Request().Context()); ok && s.Denied(token) {
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

func subject(c *echo.Context) error {
	name := "nobody"
	if token, ok := middleware.FromContext(c.Request().Context()); ok {
		name = token.Subject
	}
	return c.String(http.StatusOK, name)
}

func sent(c *echo.Context) error {
	return c.Stream(http.StatusOK, "text/plain", c.Request().Body)
}
