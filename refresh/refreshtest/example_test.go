package refreshtest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/cognito"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// Providers do not agree on what becomes of a refresh token that has been used.
func ExampleRotation() {
	for _, rotation := range []refreshtest.Rotation{
		refreshtest.Strict, refreshtest.GraceSame, refreshtest.GraceNew, refreshtest.Reusable,
	} {
		provider := &refreshtest.Provider{Rotation: rotation}
		client := &refresh.OAuth2{ClientID: "client", TokenURL: provider.URL("/token"), Client: provider.Client()}
		login := provider.Login("alice")
		first, _ := client.Refresh(context.Background(), login)
		second, err := client.Refresh(context.Background(), login)
		fmt.Println("again:", err == nil, "same:", second.Refresh == first.Refresh, "rotated:", first.Refresh != login.Refresh)
	}
	// Output:
	// again: false same: false rotated: true
	// again: true same: true rotated: true
	// again: true same: false rotated: true
	// again: true same: true rotated: false
}

// A bad minute, and a login that an administrator ends: the one is temporary, the
// other is not.
func ExampleProvider_Fail() {
	provider := new(refreshtest.Provider)
	client := &refresh.OAuth2{ClientID: "client", TokenURL: provider.URL("/token"), Client: provider.Client()}
	login := provider.Login("alice")

	provider.Fail(refreshtest.ServerError, 1)
	_, err := client.Refresh(context.Background(), login)
	fmt.Println("over:", errors.Is(err, refresh.ErrDenied), "live:", provider.Live(login))

	provider.End("alice")
	_, err = client.Refresh(context.Background(), login)
	fmt.Println("over:", errors.Is(err, refresh.ErrDenied), "live:", provider.Live(login))
	// Output:
	// over: false live: true
	// over: true live: false
}

// An answer that a Provider would not give, without a socket.
func ExampleClient() {
	teapot := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	client := &refresh.OAuth2{ClientID: "client", TokenURL: "https://provider.test/token", Client: refreshtest.Client(teapot)}
	_, err := client.Refresh(context.Background(), refresh.Tokens{Refresh: "r"})
	var refused *refresh.ProviderError
	fmt.Println(errors.As(err, &refused) && refused.Status == http.StatusTeapot, errors.Is(err, refresh.ErrDenied))
	// Output: true false
}

// A user pool whose app client rotates refresh tokens, as Cognito does since
// 2025.
func ExampleCognito() {
	pool := &refreshtest.Cognito{Rotation: true}
	client := &cognito.Pool{Region: "eu-test-1", ClientID: "client", Client: pool.Client()}
	login := pool.Login("alice")
	renewed, err := client.Refresh(context.Background(), login)
	fmt.Println(err, "live:", pool.Live(login), pool.Live(renewed))
	fmt.Println(pool.Stats().Calls["GetTokensFromRefreshToken"], "call")
	// Output:
	// <nil> live: false true
	// 1 call
}
