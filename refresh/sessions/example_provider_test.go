package sessions_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/event"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
	"github.com/tokenlife/tokenlife/refresh/sessions"
)

// The provider's tokens stay here; the client refreshes by its handle.
func ExampleSessions_oauth2() {
	provider := new(refreshtest.Provider) // stands for yours
	logins := &sessions.Sessions{
		Refresher: &refresh.OAuth2{ClientID: "client", TokenURL: provider.URL("/token"), Client: provider.Client()},
		Store:     new(refresh.MemoryStore),
	}
	defer logins.Close()
	ctx := context.Background()

	tokens := provider.Login("alice")
	client, err := logins.Start(ctx, tokens, refresh.Identity{Issuer: provider.URL(""), Subject: "alice"})
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err = logins.Refresh(ctx, client)
	if err != nil {
		fmt.Println(err)
		return
	}
	access, err := logins.Access(ctx, client.Access)
	fmt.Println("a new access token:", access != tokens.Access, err)
	fmt.Println("the client has it:", client.Access == access)
	// Output:
	// a new access token: true <nil>
	// the client has it: false
}

// Somebody has copied a handle, and comes with it after its successor has been
// used: the login is over for both, and the service hears of it.
func ExampleSessions_reuse() {
	logins := &sessions.Sessions{
		Refresher: refresh.Func(next),
		Store:     new(refresh.MemoryStore),
		Grace:     -1, // none, as this example does not wait for it to pass
		Observe: func(_ context.Context, e event.Event) {
			fmt.Println(e.Kind, e.Subject, e.Device)
		},
	}
	defer logins.Close()
	ctx := context.Background()
	whose := refresh.Identity{Issuer: "https://login.example", Subject: "ann", Device: "Firefox on Linux"}
	stolen, err := logins.Start(ctx, refresh.Tokens{Access: "a.b.c", Refresh: "r"}, whose)
	if err != nil {
		fmt.Println(err)
		return
	}
	current := stolen
	for range 2 { // the user goes on
		if current, err = logins.Refresh(ctx, current); err != nil {
			fmt.Println(err)
			return
		}
	}
	_, err = logins.Refresh(ctx, stolen)
	fmt.Println("for the thief:", errors.Is(err, refresh.ErrDenied))
	_, err = logins.Refresh(ctx, current)
	fmt.Println("for the user:", errors.Is(err, refresh.ErrDenied))
	// Output:
	// handle_reused ann Firefox on Linux
	// for the thief: true
	// for the user: true
}

// A back-channel logout names the provider's session.
func ExampleSessions_LogOut() {
	logins := &sessions.Sessions{Refresher: refresh.Func(next), Store: new(refresh.MemoryStore)}
	defer logins.Close()
	ctx := context.Background()
	const issuer = "https://login.example"
	client, err := logins.Start(ctx, refresh.Tokens{Access: "a.b.c", Refresh: "r"},
		refresh.Identity{Issuer: issuer, Subject: "ann", Session: "s-1"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(logins.LogOut(ctx, issuer, "ann", "s-1", time.Now()))
	_, err = logins.Access(ctx, client.Access)
	fmt.Println("its access token is gone:", errors.Is(err, refresh.ErrNotFound))
	// Output:
	// <nil>
	// its access token is gone: true
}

// Signing out ends one login, and leaves the others of its user alone.
func ExampleSessions_Revoke() {
	logins := &sessions.Sessions{Refresher: refresh.Func(next), Store: new(refresh.MemoryStore)}
	defer logins.Close()
	ctx := context.Background()
	client, err := logins.Start(ctx, refresh.Tokens{Access: "a.b.c", Refresh: "r"},
		refresh.Identity{Issuer: "https://login.example", Subject: "ann"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(logins.Revoke(ctx, client))
	list, err := logins.List(ctx, "https://login.example", "ann")
	fmt.Println(len(list), err)
	// Output:
	// <nil>
	// 0 <nil>
}
