package middleware_test

import (
	"context"
	"fmt"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/verify"
)

// For a test of a handler, package middlewaretest makes tokens from claims.
func ExampleNewContext() {
	ctx := middleware.NewContext(context.Background(), &verify.Token{Subject: "ann"})
	token, ok := middleware.FromContext(ctx)
	fmt.Println(token.Subject, ok)
	// Output: ann true
}
