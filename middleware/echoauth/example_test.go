package echoauth_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

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
