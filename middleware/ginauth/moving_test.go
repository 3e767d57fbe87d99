package ginauth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/gin-gonic/gin"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/ginauth"
	"github.com/tokenlife/tokenlife/middleware/middlewaretest"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh/local"
)

// With gin-jwt, one struct with callbacks signs tokens, verifies them, and has
// the handlers for login, refresh and logout. Here a local.Issuer signs, PayloadFunc
// is its Claims, Authenticator the handler of the sign-in, Authorizator
// RequireScope, and ExtractClaims ginauth.Claims.
func Example_fromGinJWT() {
	issuer := &local.Issuer{
		URL:      "https://shop.example",
		Audience: []string{"shop"},
		Claims: func(_ context.Context, subject string) (map[string]any, error) {
			return map[string]any{"scope": "orders", "name": "Ann"}, nil // as the database has it
		},
	}
	tokens, err := verify.New(verify.Issuer{URL: issuer.URL, Keys: issuer.JWKS, Audience: issuer.Audience})
	if err != nil {
		panic(err)
	}
	auth := &middleware.Auth{Verifier: tokens, Refresher: issuer}

	engine := gin.New()
	engine.POST("/login", func(c *gin.Context) {
		login, err := issuer.Login(c.Request.Context(), c.PostForm("username")) // after checking the password
		if err == nil {
			err = auth.SignIn(c.Writer, c.Request, login)
		}
		if err != nil {
			middleware.WriteError(c.Writer, c.Request, err)
		}
	})
	engine.POST("/refresh_token", gin.WrapH(auth.RefreshHandler()))
	engine.POST("/logout", gin.WrapH(auth.Logout(nil)))
	engine.GET("/orders", ginauth.RequireScope(auth, "orders"), func(c *gin.Context) {
		claims, _ := ginauth.Claims[map[string]any](c)
		c.String(http.StatusOK, "orders of %s", claims["name"])
	})
	site := http.NewCrossOriginProtection().Handler(auth.Optional(engine))

	defer tokens.Close()
	defer auth.Close()
	r := httptest.NewRequest("GET", "/orders", nil)
	for _, path := range []string{"/login", "/refresh_token", "/logout"} {
		post := httptest.NewRequest("POST", path, nil)
		post.Header["Cookie"] = r.Header["Cookie"]
		post.PostForm = map[string][]string{"username": {"ann"}}
		answer := httptest.NewRecorder()
		site.ServeHTTP(answer, post)
		middlewaretest.Keep(r, answer.Result())

		w := httptest.NewRecorder()
		site.ServeHTTP(w, r)
		fmt.Println(answer.Code, w.Code, w.Body)
	}
	// Output:
	// 200 200 orders of Ann
	// 204 200 orders of Ann
	// 204 401 {"title":"Unauthorized","status":401}
}
