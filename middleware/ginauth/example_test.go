package ginauth_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/gin-gonic/gin"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/ginauth"
	"github.com/tokenlife/tokenlife/middleware/middlewaretest"
)

func ExampleRequire() {
	p := new(middlewaretest.Provider) // in the place of a real one
	defer p.Close()
	auth := &middleware.Auth{Verifier: p, Refresher: p}
	defer auth.Close()

	engine := gin.New()
	api := engine.Group("/api", ginauth.Require(auth))
	api.GET("/hello", func(c *gin.Context) {
		token, _ := ginauth.Token(c)
		c.String(http.StatusOK, "hello %s", token.Subject)
	})

	r := httptest.NewRequest("GET", "/api/hello", nil)
	for range 2 {
		w := httptest.NewRecorder()
		engine.ServeHTTP(w, r)
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
	engine := gin.New()
	engine.GET("/", func(c *gin.Context) {
		own, err := ginauth.Claims[claims](c)
		c.String(http.StatusOK, "%s %v", own.Tenant, err)
	})

	r := httptest.NewRequest("GET", "/", nil)
	ctx := middlewaretest.NewContext(r.Context(), map[string]any{"tenant": "t1"})
	w := httptest.NewRecorder()
	engine.ServeHTTP(w, r.WithContext(ctx))
	fmt.Println(w.Body)
	// Output: t1 <nil>
}
