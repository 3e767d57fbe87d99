package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh/event"
)

// A log needs no package of its own.
func Example_log() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: withoutTime}))
	auth := &middleware.Auth{Verifier: middleware.VerifierFunc(verifyWord)}

	auth.Observe = event.Log(logger)

	handler := auth.Require(http.NotFoundHandler())
	for _, word := range []string{"good", "bad"} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", "Bearer "+word)
		handler.ServeHTTP(httptest.NewRecorder(), r)
	}
	// Output:
	// level=DEBUG msg=verified bearer=true issuer=https://issuer.example subject=ann
	// level=DEBUG msg=refused reason=invalid error="middleware: refused with 401: verify: token refused: not the word"
}

func verifyWord(_ context.Context, raw string) (*verify.Token, error) {
	if raw != "good" {
		return nil, fmt.Errorf("%w: not the word", verify.ErrInvalid)
	}
	return &verify.Token{Issuer: "https://issuer.example", Subject: "ann"}, nil
}

func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}
