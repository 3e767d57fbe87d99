package refresh_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/discovery"
	"github.com/tokenlife/tokenlife/refresh/event"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// Twenty requests of one page come with the same refresh token, to a provider
// that would take the second use of it for theft.
func ExampleCoordinator() {
	provider := new(refreshtest.Provider) // stands for yours
	c := &refresh.Coordinator{Refresher: &refresh.OAuth2{
		ClientID: "client", TokenURL: provider.URL("/token"), Client: provider.Client(),
	}}
	defer c.Close()
	login := provider.Login("alice")

	results := make([]refresh.Tokens, 20)
	var wg sync.WaitGroup
	for i := range results {
		wg.Go(func() { results[i], _ = c.Refresh(context.Background(), login) })
	}
	wg.Wait()

	same := true
	for _, t := range results {
		same = same && t != refresh.Tokens{} && t == results[0]
	}
	fmt.Println("all have the same new tokens:", same)
	fmt.Println("the provider was asked:", provider.Stats().Calls)
	// Output:
	// all have the same new tokens: true
	// the provider was asked: 1
}

// Two replicas that share a Store: a browser comes to one of them with its
// cookies, and to the other before it has the new ones.
func ExampleCoordinator_replicas() {
	provider := new(refreshtest.Provider)
	store := new(refresh.MemoryStore) // in earnest a redisstore or a sqlstore
	replica := func() *refresh.Coordinator {
		return &refresh.Coordinator{
			Refresher: &refresh.OAuth2{ClientID: "client", TokenURL: provider.URL("/token"), Client: provider.Client()},
			Store:     store,
		}
	}
	here, there := replica(), replica()
	defer here.Close()
	defer there.Close()

	login := provider.Login("alice")
	first, err := here.Refresh(context.Background(), login)
	if err != nil {
		fmt.Println(err)
		return
	}
	second, err := there.Refresh(context.Background(), login)
	fmt.Println("the same tokens:", first.Access == second.Access, err)
	fmt.Println("the provider was asked:", provider.Stats().Calls)
	// Output:
	// the same tokens: true <nil>
	// the provider was asked: 1
}

// A sign-out ends the login at the provider, and here for whoever still has its
// tokens.
func ExampleCoordinator_Revoke() {
	provider := new(refreshtest.Provider)
	c := &refresh.Coordinator{Refresher: &refresh.OAuth2{
		ClientID: "client", TokenURL: provider.URL("/token"), RevokeURL: provider.URL("/revoke"), Client: provider.Client(),
	}}
	defer c.Close()
	login := provider.Login("alice")

	fmt.Println(c.Revoke(context.Background(), login), provider.Live(login))
	_, err := c.Refresh(context.Background(), login)
	fmt.Println(errors.Is(err, refresh.ErrEnded), errors.Is(err, refresh.ErrDenied))
	// Output:
	// <nil> false
	// true true
}

// Wherever tokens come from, a function makes it a Refresher. What it returns is
// complete, and an error ends the login only if it says so.
func ExampleFunc() {
	legacy := refresh.Func(func(_ context.Context, old refresh.Tokens) (refresh.Tokens, error) {
		switch old.Refresh {
		case "closed":
			return refresh.Tokens{}, fmt.Errorf("the account is closed: %w", refresh.ErrDenied)
		case "down":
			return refresh.Tokens{}, errors.New("the account service does not answer")
		}
		return refresh.Tokens{Access: "new", Refresh: old.Refresh}, nil
	})
	for _, token := range []string{"good", "closed", "down"} {
		t, err := legacy.Refresh(context.Background(), refresh.Tokens{Refresh: token})
		fmt.Printf("%q over: %t, error: %v\n", t.Access, errors.Is(err, refresh.ErrDenied), err)
	}
	// Output:
	// "new" over: false, error: <nil>
	// "" over: true, error: the account is closed: refresh: the login is over
	// "" over: false, error: the account service does not answer
}

// Revocation finds its endpoint by discovery, as everything else does.
func ExampleOAuth2_Revoke() {
	provider := new(refreshtest.Provider)
	srv := refreshtest.NewServer(provider)
	defer srv.Close()
	client := &refresh.OAuth2{ClientID: "client", Discovery: &discovery.Provider{Issuer: srv.URL}}

	login := provider.Login("alice")
	fmt.Println(provider.Live(login))
	fmt.Println(client.Revoke(context.Background(), login), provider.Live(login))
	// Output:
	// true
	// <nil> false
}

// A mistake is best found when a program starts.
func ExampleOAuth2_Validate() {
	client := &refresh.OAuth2{ClientID: "shop", TokenURL: "http://login.example/token"}
	fmt.Println(client.Validate())
	// Output: refresh: OAuth2.TokenURL must be https; http is for loopback hosts only
}

// Tokens do not show in a log, whatever the verb.
func ExampleTokens() {
	login := refresh.Tokens{
		Access:  "an-access-token",
		Refresh: "a-refresh-token",
		Expiry:  time.Date(2030, time.January, 1, 12, 0, 0, 0, time.UTC),
	}
	fmt.Printf("%+v\n", login)
	// Output: refresh.Tokens{expiry 2030-01-01T12:00:00Z}
}

// The callback of a sign-in redeems its code. Package login has all of it: state,
// nonce, the ID token, and the cookies in between.
func ExampleOAuth2_Exchange() {
	provider := new(refreshtest.Provider)
	client := &refresh.OAuth2{ClientID: "client", TokenURL: provider.URL("/token"), Client: provider.Client()}

	// The browser is sent to the provider, and comes back with a code.
	const callback = "https://shop.example/callback"
	verifier := oauth2.GenerateVerifier()
	browser := provider.Client()
	browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := browser.Get(provider.URL("/authorize") + "?" + url.Values{
		"response_type": {"code"}, "client_id": {"client"}, "redirect_uri": {callback}, "scope": {"openid"},
		"code_challenge": {oauth2.S256ChallengeFromVerifier(verifier)}, "code_challenge_method": {"S256"},
	}.Encode())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	back, err := resp.Location()
	if err != nil {
		fmt.Println(err)
		return
	}

	login, err := client.Exchange(context.Background(), back.Query().Get("code"), verifier, callback)
	fmt.Println(login.Access != "", login.Refresh != "", login.ID != "", err)
	// Output: true true true <nil>
}

// Observe is told what came of a call, for all who waited for it together.
func ExampleCoordinator_observe() {
	provider := new(refreshtest.Provider)
	provider.Fail(refreshtest.Unavailable, 1)
	c := &refresh.Coordinator{
		Refresher: &refresh.OAuth2{ClientID: "client", TokenURL: provider.URL("/token"), Client: provider.Client()},
		Observe: func(_ context.Context, e event.Event) {
			fmt.Println(e.Level, e.Kind, e.Outcome, e.Waiters) // event.Log(logger) does it by slog
		},
	}
	login := provider.Login("alice")
	for range 2 {
		if _, err := c.Refresh(context.Background(), login); err != nil {
			fmt.Println("for now:", !errors.Is(err, refresh.ErrDenied))
		}
	}
	c.Close() // waits for what is still to be told
	// Unordered output:
	// WARN provider_called failed 1
	// for now: true
	// DEBUG provider_called exchanged 1
}
