package echoauth_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/echoauth"
	"github.com/tokenlife/tokenlife/middleware/middlewaretest"
)

func ExampleRequire() {
	p := new(middlewaretest.Provider) // in the place of a real one
	defer p.Close()
	auth := &middleware.Auth{Verifier: p, Refresher: p}
	defer auth.Close()

	e := echo.New()
	api := e.Group("/api", echoauth.Require(auth))
	api.GET("/hello", func(c echo.Context) error {
		token, _ := echoauth.Token(c)
		return c.String(http.StatusOK, "hello "+token.Subject)
	})

	r := httptest.NewRequest("GET", "/api/hello", nil)
	for range 2 {
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Body)
		middlewaretest.SignIn(auth, r, p.Login(map[string]any{"sub": "ann"}))
	}
	// Output:
	// 401 {"title":"Unauthorized","status":401}
	// 200 hello ann
}

func ExampleClaims() {
	type claims struct {
		Tenant string `json:"tenant"`
	}
	e := echo.New()
	e.GET("/", func(c echo.Context) error {
		own, err := echoauth.Claims[claims](c)
		return c.String(http.StatusOK, fmt.Sprint(own.Tenant, " ", err))
	})

	r := httptest.NewRequest("GET", "/", nil)
	ctx := middlewaretest.NewContext(r.Context(), map[string]any{"tenant": "t1"})
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r.WithContext(ctx))
	fmt.Println(w.Body)
	// Output: t1 <nil>
}

// An action that needs more than a login, and one that is for a group.
func ExampleRequireScope() {
	p := new(middlewaretest.Provider)
	defer p.Close()
	auth := &middleware.Auth{Verifier: p}
	e := echo.New()
	e.DELETE("/notes/:id", func(c echo.Context) error { return c.NoContent(http.StatusNoContent) }, echoauth.RequireScope(auth, "write"))
	e.GET("/reports", func(c echo.Context) error { return c.NoContent(http.StatusOK) }, echoauth.RequireGroup(auth, "staff"))

	token := p.Token(map[string]any{"scope": "read", "groups": "staff"})
	for _, call := range []string{"DELETE /notes/1", "GET /reports"} {
		method, path, _ := strings.Cut(call, " ")
		r := httptest.NewRequest(method, path, nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))
	}
	// Output:
	// 403 Bearer realm="api", error="insufficient_scope", scope="write"
	// 200
}

// A page for everybody, which knows its users.
func ExampleOptional() {
	p := new(middlewaretest.Provider)
	defer p.Close()
	auth := &middleware.Auth{Verifier: p, Refresher: p}
	defer auth.Close()
	e := echo.New()
	e.GET("/", func(c echo.Context) error {
		token, ok := echoauth.Token(c)
		if !ok {
			return c.String(http.StatusOK, "hello, stranger")
		}
		return c.String(http.StatusOK, "hello, "+token.Subject)
	}, echoauth.Optional(auth))

	r := httptest.NewRequest("GET", "/", nil)
	for range 2 {
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		fmt.Println(w.Body)
		middlewaretest.SignIn(auth, r, p.Login(map[string]any{"sub": "ann"}))
	}
	// Output:
	// hello, stranger
	// hello, ann
}

// KeepAlive keeps logins alive for handlers that verify tokens by themselves.
func ExampleKeepAlive() {
	p := new(middlewaretest.Provider)
	defer p.Close()
	auth := &middleware.Auth{Verifier: p, Refresher: p, ForwardToken: true}
	defer auth.Close()
	e := echo.New()
	e.Use(echoauth.KeepAlive(auth))
	e.GET("/", func(c echo.Context) error {
		raw := strings.TrimPrefix(c.Request().Header.Get("Authorization"), "Bearer ")
		_, err := p.Verify(c.Request().Context(), raw) // your own
		return c.String(http.StatusOK, fmt.Sprint(err))
	})

	r := httptest.NewRequest("GET", "/", nil)
	middlewaretest.SignIn(auth, r, p.Login(map[string]any{"iat": 1, "exp": 2}))
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body, len(w.Result().Cookies()), "cookies")
	// Output: 200 <nil> 3 cookies
}
