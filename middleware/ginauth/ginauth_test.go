package ginauth_test

import (
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/ginauth"
	"github.com/tokenlife/tokenlife/middleware/middlewaretest"
)

// away returns an Auth and a request of a browser whose access token has ended.
func away(t *testing.T) (*middleware.Auth, *http.Request) {
	p := middlewaretest.NewProvider(t)
	auth := &middleware.Auth{Verifier: p, Refresher: p}
	t.Cleanup(func() { auth.Close() })
	r := httptest.NewRequest("GET", "/", nil)
	middlewaretest.SignIn(auth, r, p.Login(map[string]any{"sub": "ann", "iat": 1, "exp": 2}))
	return auth, r
}

func TestEveryWayToAnswerCarriesTheCookies(t *testing.T) {
	tests := []struct {
		name   string
		answer gin.HandlerFunc
		status int
	}{
		{"nothing at all", func(*gin.Context) {}, 200},
		{"a status", func(c *gin.Context) { c.Status(202) }, 202},
		{"AbortWithStatus", func(c *gin.Context) { c.AbortWithStatus(409) }, 409},
		{"AbortWithStatus and 401", func(c *gin.Context) { c.AbortWithStatus(401) }, 401},
		{"AbortWithStatusJSON", func(c *gin.Context) { c.AbortWithStatusJSON(401, gin.H{}) }, 401},
		{"AbortWithError", func(c *gin.Context) { c.AbortWithError(400, errors.New("a mistake")) }, 400},
		{"JSON", func(c *gin.Context) { c.JSON(201, gin.H{}) }, 201},
		{"Redirect", func(c *gin.Context) { c.Redirect(303, "/x") }, 303},
		{"WriteString", func(c *gin.Context) { c.Writer.WriteString("x") }, 200},
		{"WriteHeaderNow", func(c *gin.Context) { c.Status(203); c.Writer.WriteHeaderNow() }, 203},
		{"Flush", func(c *gin.Context) { c.Writer.Flush() }, 200},
		{"Stream", func(c *gin.Context) {
			c.Stream(func(w io.Writer) bool { io.WriteString(w, "x"); return false })
		}, 200},
		{"http.Error", func(c *gin.Context) { http.Error(c.Writer, "x", http.StatusGone) }, 410},
		{"a handler of net/http", gin.WrapF(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }), 404},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			auth, r := away(t)
			engine := gin.New()
			told := make(chan int, 1)
			engine.Use(func(c *gin.Context) { c.Next(); told <- c.Writer.Status() }, ginauth.Require(auth))
			engine.GET("/", tt.answer)
			srv := httptest.NewServer(engine) // a recorder has no CloseNotify
			defer srv.Close()
			req, err := http.NewRequestWithContext(t.Context(), "GET", srv.URL+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header = r.Header
			res, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			outer := <-told
			if res.StatusCode != tt.status || outer != tt.status || len(res.Cookies()) != 3 {
				t.Errorf("answered %d with %d cookies, and %d to middleware before it; want %d", res.StatusCode, len(res.Cookies()), outer, tt.status)
			}
		})
	}
}

func TestOtherMiddlewareFindsWhatItExpects(t *testing.T) {
	t.Run("before it: the answer of a refused request, and its own writer again", func(t *testing.T) {
		p := middlewaretest.NewProvider(t)
		engine := gin.New()
		engine.Use(func(c *gin.Context) {
			own := c.Writer
			c.Next()
			if c.Writer != own || c.Writer.Status() != 401 || !c.Writer.Written() || !c.IsAborted() {
				t.Errorf("status %d, written %t, aborted %t", c.Writer.Status(), c.Writer.Written(), c.IsAborted())
			}
		}, ginauth.Require(&middleware.Auth{Verifier: p}))
		engine.GET("/", func(*gin.Context) { t.Error("the handler ran") })
		engine.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	})
	t.Run("before it: the token, for a log, and its own writer", func(t *testing.T) {
		auth, r := away(t)
		engine := gin.New()
		engine.Use(func(c *gin.Context) {
			own := c.Writer
			c.Next()
			if token, ok := ginauth.Token(c); !ok || token.Subject != "ann" || c.Writer != own {
				t.Error("no token after the handler, or another writer")
			}
		}, ginauth.Require(auth))
		engine.GET("/", func(*gin.Context) {})
		engine.ServeHTTP(httptest.NewRecorder(), r)
	})
	for _, behind := range []bool{false, true} {
		t.Run("a writer that compresses", func(t *testing.T) {
			auth, r := away(t)
			chain := []gin.HandlerFunc{ginauth.Require(auth), compress}
			if !behind {
				chain = []gin.HandlerFunc{compress, ginauth.Require(auth)}
			}
			engine := gin.New()
			engine.Use(chain...)
			engine.GET("/", func(c *gin.Context) { c.String(200, "hello") })
			w := httptest.NewRecorder()
			engine.ServeHTTP(w, r)
			zr, err := gzip.NewReader(w.Body)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(zr)
			if string(body) != "hello" || err != nil || len(w.Result().Cookies()) != 3 {
				t.Errorf("%q, %v, %d cookies", body, err, len(w.Result().Cookies()))
			}
		})
	}
	t.Run("a route that is not there is refused before it is looked for", func(t *testing.T) {
		p := middlewaretest.NewProvider(t)
		engine := gin.New()
		engine.Use(func(c *gin.Context) {
			c.Next()
			if !c.Writer.Written() {
				t.Error("not answered yet")
			}
		}, ginauth.Require(&middleware.Auth{Verifier: p, LoginURL: "/login"}))
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "/nowhere", nil)
		r.Header.Set("Accept", "text/html")
		engine.ServeHTTP(w, r)
		if w.Code != 302 || !strings.HasPrefix(w.Header().Get("Location"), "/login?") || w.Body.Len() != 0 {
			t.Errorf("%d to %q with %q", w.Code, w.Header().Get("Location"), w.Body)
		}
	})
}

// compress is a middleware as many are: it swaps the writer.
func compress(c *gin.Context) {
	zw := gzip.NewWriter(c.Writer)
	plain := c.Writer
	c.Writer = &compressed{plain, zw}
	c.Next()
	zw.Close()
	c.Writer = plain
}

type compressed struct {
	gin.ResponseWriter
	zw *gzip.Writer
}

func (c *compressed) Write(p []byte) (int, error)       { return c.zw.Write(p) }
func (c *compressed) WriteString(s string) (int, error) { return c.zw.Write([]byte(s)) }

func TestAWriterCanBeAskedForDeadlines(t *testing.T) {
	auth, r := away(t)
	engine := gin.New()
	engine.GET("/", ginauth.Require(auth), func(c *gin.Context) {
		if err := http.NewResponseController(c.Writer).SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Error(err)
		}
	})
	srv := httptest.NewServer(engine)
	defer srv.Close()
	req, err := http.NewRequestWithContext(t.Context(), "GET", srv.URL+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = r.Header
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
}

func TestAMistakeInTheSetUpPanics(t *testing.T) {
	good := &middleware.Auth{Verifier: middlewaretest.NewProvider(t)}
	for name, call := range map[string]func(){
		"Require without a verifier":   func() { ginauth.Require(new(middleware.Auth)) },
		"Optional without a verifier":  func() { ginauth.Optional(new(middleware.Auth)) },
		"KeepAlive without a verifier": func() { ginauth.KeepAlive(new(middleware.Auth)) },
		"RequireScope without one":     func() { ginauth.RequireScope(good) },
		"RequireGroup without one":     func() { ginauth.RequireGroup(good) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			call()
		})
	}
}
