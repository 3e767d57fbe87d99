package echoauth_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/labstack/echo/v4"
	echomiddleware "github.com/labstack/echo/v4/middleware"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/echoauth"
	"github.com/tokenlife/tokenlife/middleware/middlewaretest"
)

// away returns an Auth and a request of a browser whose access token has ended.
func away(t *testing.T) (*middleware.Auth, *http.Request) {
	p := middlewaretest.NewProvider(t)
	a := &middleware.Auth{Verifier: p, Refresher: p}
	t.Cleanup(func() { a.Close() })
	r := httptest.NewRequest("GET", "/", nil)
	middlewaretest.SignIn(a, r, p.Login(map[string]any{"sub": "ann", "iat": 1, "exp": 2}))
	return a, r
}

func TestEveryWayToAnswerCarriesTheCookies(t *testing.T) {
	tests := []struct {
		name   string
		answer echo.HandlerFunc
		status int
	}{
		{"nothing at all", func(echo.Context) error { return nil }, 200},
		{"NoContent", func(c echo.Context) error { return c.NoContent(204) }, 204},
		{"an error of echo's", func(echo.Context) error { return echo.ErrConflict }, 409},
		{"an error and 401", func(echo.Context) error { return echo.ErrUnauthorized }, 401},
		{"any error", func(echo.Context) error { return errors.New("a mistake") }, 500},
		{"an error after the answer", func(c echo.Context) error {
			_ = c.String(202, "x")
			return errors.New("a mistake")
		}, 202},
		{"JSON", func(c echo.Context) error { return c.JSON(201, "x") }, 201},
		{"Redirect", func(c echo.Context) error { return c.Redirect(303, "/x") }, 303},
		{"Flush", func(c echo.Context) error { c.Response().Flush(); return nil }, 200},
		{"a handler of net/http", echo.WrapHandler(http.NotFoundHandler()), 404},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, r := away(t)
			e := echo.New()
			e.GET("/", tt.answer, echoauth.Require(a))
			w := httptest.NewRecorder()
			e.ServeHTTP(w, r)
			if w.Code != tt.status || len(w.Result().Cookies()) != 3 {
				t.Errorf("answered %d with %d cookies, want %d", w.Code, len(w.Result().Cookies()), tt.status)
			}
		})
	}
}

func TestOtherMiddlewareFindsWhatItExpects(t *testing.T) {
	mistake := errors.New("a mistake")
	tests := []struct {
		name   string
		known  bool // the user
		answer echo.HandlerFunc
		status int
		size   int64
		err    error
	}{
		{"an answer", true, func(c echo.Context) error { return c.String(200, "hello") }, 200, 5, nil},
		{"an error", true, func(echo.Context) error { return mistake }, 500, 36, mistake},
		{"a refusal", false, func(echo.Context) error { t.Error("the handler ran"); return nil }, 401, 37, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, r := away(t)
			if !tt.known {
				r.Header.Del("Cookie")
			}
			e := echo.New()
			befores, handled := 0, 0
			e.HTTPErrorHandler = func(err error, c echo.Context) {
				if c.Response().Committed {
					return
				}
				handled++
				e.DefaultHTTPErrorHandler(err, c)
			}
			e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
				return func(c echo.Context) error {
					own := c.Response()
					own.Before(func() { befores++ })
					err := next(c)
					if c.Response() != own || own.Status != tt.status || own.Size != tt.size || !own.Committed || err != tt.err {
						t.Errorf("status %d, size %d, committed %t, error %v; want %d, %d and %v", own.Status, own.Size, own.Committed, err, tt.status, tt.size, tt.err)
					}
					if token, ok := echoauth.Token(c); ok != tt.known || ok && token.Subject != "ann" {
						t.Error("the token after the handler is another")
					}
					return err
				}
			}, echoauth.Require(a))
			e.GET("/", tt.answer)
			w := httptest.NewRecorder()
			e.ServeHTTP(w, r)
			if befores != 1 || (handled == 1) != (tt.err != nil) || w.Code != tt.status {
				t.Errorf("%d calls of Before, %d of the error handler, status %d", befores, handled, w.Code)
			}
		})
	}
}

func TestASecondRunLeavesNothingOfTheFirst(t *testing.T) {
	p := middlewaretest.NewProvider(t)
	a := &middleware.Auth{Verifier: p, Refresher: p}
	defer a.Close()
	e := echo.New()
	var seen error
	runs, before := 0, 0
	e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			seen = next(c)
			return seen
		}
	}, echoauth.Require(a))
	e.GET("/:name", func(c echo.Context) error {
		c.Response().Before(func() { before++ })
		if runs++; runs == 1 {
			return echo.NewHTTPError(401, "the first run's")
		}
		return c.String(200, c.Param("name"))
	})
	r := httptest.NewRequest("GET", "/ann", nil)
	now := p.Login(nil).Expiry.Unix()
	middlewaretest.SignIn(a, r, p.Login(map[string]any{"iat": now - 600}))
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	if w.Code != 200 || w.Body.String() != "ann" || seen != nil || runs != 2 || before != 2 || w.Header().Get("Content-Type") != "text/plain; charset=UTF-8" {
		t.Errorf("%d %q, %v, after %d runs with %d calls of Before, %q", w.Code, w.Body, seen, runs, before, w.Header().Get("Content-Type"))
	}
}

func TestCompressedAnswersCarryTheCookies(t *testing.T) {
	for name, chain := range map[string]func(a *middleware.Auth) []echo.MiddlewareFunc{
		"before it": func(a *middleware.Auth) []echo.MiddlewareFunc {
			return []echo.MiddlewareFunc{echomiddleware.Gzip(), echoauth.Require(a)}
		},
		"behind it": func(a *middleware.Auth) []echo.MiddlewareFunc {
			return []echo.MiddlewareFunc{echoauth.Require(a), echomiddleware.Gzip()}
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, r := away(t)
			e := echo.New()
			e.Use(chain(a)...)
			e.GET("/", func(c echo.Context) error { return c.String(200, "hello") })
			srv := httptest.NewServer(e)
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
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			if string(body) != "hello" || err != nil || !res.Uncompressed || len(res.Cookies()) != 3 {
				t.Errorf("%q, %v, compressed %t, %d cookies", body, err, res.Uncompressed, len(res.Cookies()))
			}
		})
	}
}

func TestAMistakeInTheSetUpPanics(t *testing.T) {
	good := &middleware.Auth{Verifier: middlewaretest.NewProvider(t)}
	for name, call := range map[string]func(){
		"Require without a verifier":   func() { echoauth.Require(new(middleware.Auth)) },
		"Optional without a verifier":  func() { echoauth.Optional(new(middleware.Auth)) },
		"KeepAlive without a verifier": func() { echoauth.KeepAlive(new(middleware.Auth)) },
		"RequireScope without one":     func() { echoauth.RequireScope(good) },
		"RequireGroup without one":     func() { echoauth.RequireGroup(good) },
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
