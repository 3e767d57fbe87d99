package ginauth_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/tokenlife/tokenlife/middleware/ginauth"
	"github.com/tokenlife/tokenlife/middleware/middlewaretest/routertest"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.TestMode)
	m.Run()
}

func TestRouter(t *testing.T) {
	routertest.Run(t, routertest.Router{Handler: newSite})
}

func newSite(s *routertest.Site) http.Handler {
	a := s.Auth
	engine := gin.New()
	require := ginauth.Require(a)
	engine.GET("/private", require, subject)
	engine.POST("/private", require, sent)
	engine.GET("/public", ginauth.Optional(a), subject)
	engine.GET("/write", ginauth.RequireScope(a, "write"), subject)
	engine.GET("/staff", ginauth.RequireGroup(a, "staff"), subject)
	engine.GET("/renewed", ginauth.KeepAlive(a), func(c *gin.Context) { c.String(http.StatusOK, "%s", s.Subject(c.Request)) })
	engine.Group("/nested", require).GET("", ginauth.RequireScope(a, "write"), ginauth.Optional(a), subject)
	engine.GET("/empty", require, func(c *gin.Context) { c.Status(http.StatusNoContent) })
	engine.GET("/moody", require, func(c *gin.Context) {
		if token, ok := ginauth.Token(c); ok && s.Denied(token) {
			c.AbortWithStatus(http.StatusUnauthorized)
		}
	}, subject)
	engine.POST("/moody", require, func(c *gin.Context) {
		if token, ok := ginauth.Token(c); ok && s.Denied(token) {
			c.Header("WWW-Authenticate", "Bearer")
			c.AbortWithStatusJSON(http.StatusUnauthorized, gin.H{"error": "moody"})
		}
	}, sent)
	engine.GET("/stream", require, func(c *gin.Context) { s.Stream(c.Writer) })
	engine.GET("/hijack", require, func(c *gin.Context) { s.Hijack(c.Writer) })
	engine.GET("/abort", require, func(c *gin.Context) { s.Abort(c.Writer) })
	engine.GET("/panic", gin.RecoveryWithWriter(io.Discard), require, func(*gin.Context) { panic("a handler's mistake") })
	return engine
}

func subject(c *gin.Context) {
	name := "nobody"
	if token, ok := ginauth.Token(c); ok {
		name = token.Subject
	}
	c.String(http.StatusOK, "%s", name)
}

func sent(c *gin.Context) {
	body, err := c.GetRawData()
	if err != nil {
		c.AbortWithError(http.StatusBadRequest, err)
		return
	}
	c.Data(http.StatusOK, "text/plain", body)
}
