package ginauth

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/verify"
)

// Require is [middleware.Auth.Require]: the handlers after it are for users with
// a good access token, which they find with [Token]. It panics if auth is not
// valid.
func Require(auth *middleware.Auth) gin.HandlerFunc { return wrap(auth, auth.Require) }

// Optional is [middleware.Auth.Optional]: the handlers after it are also for
// users without a login, and [Token] tells which are which. It panics if auth is
// not valid.
func Optional(auth *middleware.Auth) gin.HandlerFunc { return wrap(auth, auth.Optional) }

// RequireScope is [middleware.Auth.RequireScope]: [Require], and 403 where one of
// the scopes is missing. It panics without a scope, or if auth is not valid.
func RequireScope(auth *middleware.Auth, scopes ...string) gin.HandlerFunc {
	return wrap(auth, auth.RequireScope(scopes...))
}

// RequireGroup is [middleware.Auth.RequireGroup]: [Require], and 403 where the
// user is not in one of the groups. It panics without a group, or if auth is not
// valid.
func RequireGroup(auth *middleware.Auth, groups ...string) gin.HandlerFunc {
	return wrap(auth, auth.RequireGroup(groups...))
}

// KeepAlive is [middleware.Auth.KeepAlive], less what comes after a 401: it refuses
// nothing, and exchanges the tokens before the handlers after it where the marker
// asks for it. It panics if auth is not valid.
func KeepAlive(auth *middleware.Auth) gin.HandlerFunc { return wrap(auth, auth.KeepAlive) }

// Token returns the verified access token of c's request, and whether there is
// one. It is shared: it must not be changed.
func Token(c *gin.Context) (*verify.Token, bool) {
	return middleware.FromContext(c.Request.Context())
}

// Claims decodes the claims of the access token of c's request into a T, a struct
// with json tags or a map[string]any.
func Claims[T any](c *gin.Context) (T, error) {
	return middleware.Claims[T](c.Request.Context())
}

// wrap makes a handler of gin's of a middleware of net/http's.
func wrap(auth *middleware.Auth, m func(http.Handler) http.Handler) gin.HandlerFunc {
	if err := auth.Validate(); err != nil {
		panic(err)
	}
	return func(c *gin.Context) {
		plain := c.Writer
		b := &beneath{ResponseWriter: plain}
		m(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b.passed = true
			c.Request = r
			if w != http.ResponseWriter(b) { // else there is nothing to add to the answer
				c.Writer = &writer{plain, w}
				defer func() { c.Writer = plain }()
			}
			c.Next()
		})).ServeHTTP(b, c.Request)
		if !b.passed {
			c.Abort()
		}
	}
}
