package sessions_test

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/sessions"
)

// next stands for a provider: refresh.OAuth2, usually.
func next(_ context.Context, old refresh.Tokens) (refresh.Tokens, error) {
	return refresh.Tokens{Access: old.Access + "'", Refresh: old.Refresh + "'"}, nil
}

func ExampleSessions() {
	logins := &sessions.Sessions{Refresher: refresh.Func(next), Store: new(refresh.MemoryStore)}
	defer logins.Close()
	ctx := context.Background()

	whose := refresh.Identity{Issuer: "https://login.example", Subject: "ann", Device: "Firefox on Linux"}
	first, err := logins.Start(ctx, refresh.Tokens{Access: "a.b.c", Refresh: "r"}, whose)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("the client has the token:", strings.Contains(first.Access, "a.b.c"))

	second, err := logins.Refresh(ctx, first)
	if err != nil {
		fmt.Println(err)
		return
	}
	token, err := logins.Access(ctx, second.Access)
	fmt.Println("its handle stands for:", token, err)
	// Output:
	// the client has the token: false
	// its handle stands for: a.b.c' <nil>
}

func ExampleSessions_List() {
	logins := &sessions.Sessions{Refresher: refresh.Func(next), Store: new(refresh.MemoryStore)}
	defer logins.Close()
	ctx := context.Background()

	const issuer = "https://login.example"
	var current refresh.Tokens
	for _, device := range []string{"Firefox on Linux", "Safari on iPhone"} {
		var err error
		current, err = logins.Start(ctx, refresh.Tokens{Access: "a.b.c", Refresh: "r " + device},
			refresh.Identity{Issuer: issuer, Subject: "ann", Device: device})
		if err != nil {
			fmt.Println(err)
			return
		}
	}
	// Everywhere but here.
	if err := logins.EndAll(ctx, issuer, "ann", sessions.ID(current)); err != nil {
		fmt.Println(err)
	}
	list, err := logins.List(ctx, issuer, "ann")
	for _, login := range list {
		fmt.Println(login.Device, "this one:", login.ID == sessions.ID(current))
	}
	fmt.Println(err)

	err = logins.End(ctx, issuer, "bob", sessions.ID(current))
	fmt.Println("somebody else's:", errors.Is(err, refresh.ErrNotFound))
	// Output:
	// Safari on iPhone this one: true
	// <nil>
	// somebody else's: true
}
