package ginauth_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

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

// An action that needs more than a login, and one that is for a group.
func ExampleRequireScope() {
	p := new(middlewaretest.Provider)
	defer p.Close()
	auth := &middleware.Auth{Verifier: p}
	engine := gin.New()
	engine.DELETE("/notes/:id", ginauth.RequireScope(auth, "write"), func(c *gin.Context) { c.Status(http.StatusNoContent) })
	engine.GET("/reports", ginauth.RequireGroup(auth, "staff"), func(c *gin.Context) { c.Status(http.StatusOK) })

	token := p.Token(map[string]any{"scope": "read", "groups": "staff"})
	for _, call := range []string{"DELETE /notes/1", "GET /reports"} {
		method, path, _ := strings.Cut(call, " ")
		r := httptest.NewRequest(method, path, nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		engine.ServeHTTP(w, r)
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
	engine := gin.New()
	engine.GET("/", ginauth.Optional(auth), func(c *gin.Context) {
		token, ok := ginauth.Token(c)
		if !ok {
			c.String(http.StatusOK, "hello, stranger")
			return
		}
		c.String(http.StatusOK, "hello, %s", token.Subject)
	})

	r := httptest.NewRequest("GET", "/", nil)
	for range 2 {
		w := httptest.NewRecorder()
		engine.ServeHTTP(w, r)
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
	engine := gin.New()
	engine.Use(ginauth.KeepAlive(auth)) // or auth.KeepAlive(engine), which also answers a 401
	engine.GET("/", func(c *gin.Context) {
		raw := strings.TrimPrefix(c.GetHeader("Authorization"), "Bearer ")
		_, err := p.Verify(c.Request.Context(), raw) // your own
		c.String(http.StatusOK, "%v", err)
	})

	r := httptest.NewRequest("GET", "/", nil)
	middlewaretest.SignIn(auth, r, p.Login(map[string]any{"iat": 1, "exp": 2}))
	w := httptest.NewRecorder()
	engine.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body, len(w.Result().Cookies()), "cookies")
	// Output: 200 <nil> 3 cookies
}
