package echoauth

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/verify"
)

// Require is [middleware.Auth.Require]: the handler is for users with a good
// access token, which it finds with [Token]. It panics if auth is not valid.
func Require(auth *middleware.Auth) echo.MiddlewareFunc { return wrap(auth, auth.Require) }

// Optional is [middleware.Auth.Optional]: the handler is also for users without a
// login, and [Token] tells which are which. It panics if auth is not valid.
func Optional(auth *middleware.Auth) echo.MiddlewareFunc { return wrap(auth, auth.Optional) }

// RequireScope is [middleware.Auth.RequireScope]: [Require], and 403 where one of
// the scopes is missing. It panics without a scope, or if auth is not valid.
func RequireScope(auth *middleware.Auth, scopes ...string) echo.MiddlewareFunc {
	return wrap(auth, auth.RequireScope(scopes...))
}

// RequireGroup is [middleware.Auth.RequireGroup]: [Require], and 403 where the
// user is not in one of the groups. It panics without a group, or if auth is not
// valid.
func RequireGroup(auth *middleware.Auth, groups ...string) echo.MiddlewareFunc {
	return wrap(auth, auth.RequireGroup(groups...))
}

// KeepAlive is [middleware.Auth.KeepAlive]: it refuses nothing, and keeps the login alive
// for a handler that authenticates requests by itself. It panics if auth is not
// valid.
func KeepAlive(auth *middleware.Auth) echo.MiddlewareFunc { return wrap(auth, auth.KeepAlive) }

// Token returns the verified access token of c's request, and whether there is
// one. It is shared: it must not be changed.
func Token(c echo.Context) (*verify.Token, bool) {
	return middleware.FromContext(c.Request().Context())
}

// Claims decodes the claims of the access token of c's request into a T, a struct
// with json tags or a map[string]any.
func Claims[T any](c echo.Context) (T, error) {
	return middleware.Claims[T](c.Request().Context())
}

// wrap makes a middleware of echo's of one of net/http's.
func wrap(auth *middleware.Auth, m func(http.Handler) http.Handler) echo.MiddlewareFunc {
	if err := auth.Validate(); err != nil {
		panic(err)
	}
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) (err error) {
			answer := c.Response()
			defer c.SetResponse(answer)
			m(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c.SetRequest(r)
				if w != http.ResponseWriter(answer) {
					// A Response that nothing has been written to, also for the
					// second run. What it writes goes to answer in the end, whose
					// status and Before functions are those that others know.
					c.SetResponse(echo.NewResponse(w, c.Echo()))
				}
				if err = next(c); err != nil {
					// The answer is written here, and not when all middleware has
					// returned: its header is where the cookies go, and a 401 may
					// be a reason to run the handler again.
					c.Error(err)
				}
			})).ServeHTTP(answer, c.Request())
			// For those who log it: echo's own handler of errors leaves alone what
			// has been answered.
			return err
		}
	}
}
