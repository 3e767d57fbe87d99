package cognito_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/cognito"
	"github.com/tokenlife/tokenlife/refresh/internal/silence"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
	"github.com/tokenlife/tokenlife/refresh/sessions"
)

const (
	getTokens    = "GetTokensFromRefreshToken"
	initiateAuth = "InitiateAuth"
)

func ExamplePool() {
	pool := &refreshtest.Cognito{Rotation: true} // in place of AWS
	tokens := &cognito.Pool{Region: "eu-test-1", ClientID: "client", Client: pool.Client()}

	old, err := tokens.Login(context.Background(), "alice@example.com", "password")
	if err != nil {
		fmt.Println(err)
		return
	}
	renewed, err := tokens.Refresh(context.Background(), old)
	fmt.Println(err, renewed.Refresh != old.Refresh)

	_, err = tokens.Refresh(context.Background(), old) // without grace, once only
	fmt.Println(err)
	fmt.Println("over:", errors.Is(err, refresh.ErrDenied))
	// Output:
	// <nil> true
	// refresh: the provider refused with status 400, RefreshTokenReuseException
	// over: true
}

func TestPoolRefreshes(t *testing.T) {
	for _, c := range []struct {
		name    string
		pool    *refreshtest.Cognito
		rotates bool
		first   map[string]int // calls of the first refresh
		second  map[string]int // and of the second
	}{
		{"with rotation", &refreshtest.Cognito{Rotation: true}, true, map[string]int{getTokens: 1}, map[string]int{getTokens: 1}},
		{"with rotation and a secret", &refreshtest.Cognito{Rotation: true, ClientSecret: secret}, true, map[string]int{getTokens: 1}, map[string]int{getTokens: 1}},
		{"with rotation and devices", &refreshtest.Cognito{Rotation: true, Devices: true}, true, map[string]int{getTokens: 1}, map[string]int{getTokens: 1}},
		{"without rotation", &refreshtest.Cognito{}, false, map[string]int{getTokens: 1}, map[string]int{getTokens: 1}},
		{"where only InitiateAuth is known", &refreshtest.Cognito{OnlyInitiateAuth: true}, false, map[string]int{getTokens: 1, initiateAuth: 1}, map[string]int{initiateAuth: 1}},
		{"there with a secret and devices", &refreshtest.Cognito{OnlyInitiateAuth: true, ClientSecret: secret, Devices: true}, false, map[string]int{getTokens: 1, initiateAuth: 1}, map[string]int{initiateAuth: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := poolOf(c.pool)
				// By an alias, which no secret hash of a refresh may be made of.
				old, err := client.Login(t.Context(), "alice@example.com", "password")
				if err != nil {
					t.Fatal(err)
				}
				old.RefreshExpiry = time.Now().Add(time.Hour)
				for n, want := range []map[string]int{c.first, c.second} {
					time.Sleep(time.Minute)
					before := c.pool.Stats().Calls
					got, err := client.Refresh(t.Context(), old)
					if err != nil {
						t.Fatalf("refresh %d: %v", n+1, err)
					}
					if got.Access == "" || got.Access == old.Access || got.ID == "" || got.ID == old.ID {
						t.Errorf("refresh %d gave no new tokens", n+1)
					}
					if rotated := got.Refresh != old.Refresh; rotated != c.rotates || got.Refresh == "" {
						t.Errorf("refresh %d: a new refresh token: %t, want %t", n+1, rotated, c.rotates)
					}
					if !c.rotates && !got.RefreshExpiry.Equal(old.RefreshExpiry) {
						t.Errorf("refresh %d: the refresh token that stays ends at %v, want %v", n+1, got.RefreshExpiry, old.RefreshExpiry)
					}
					if !got.Expiry.Equal(time.Now().Add(5 * time.Minute)) {
						t.Errorf("refresh %d: expiry in %v, want 5m", n+1, time.Until(got.Expiry))
					}
					if calls := less(c.pool.Stats().Calls, before); !maps.Equal(calls, want) {
						t.Errorf("refresh %d took the calls %v, want %v", n+1, calls, want)
					}
					old = got
				}
			})
		})
	}
}

// less is what was counted since.
func less(now, before map[string]int) map[string]int {
	diff := map[string]int{}
	for name, n := range now {
		if n > before[name] {
			diff[name] = n - before[name]
		}
	}
	return diff
}

func TestPoolHundredCallersAreOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := &refreshtest.Cognito{Rotation: true, ClientSecret: secret}
		pool.SetDelay(30 * time.Millisecond)
		coordinator := &refresh.Coordinator{Refresher: poolOf(pool)}
		defer coordinator.Close()
		old := pool.Login("alice")
		var mu sync.Mutex
		seen := map[string]int{}
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				got, err := coordinator.Refresh(t.Context(), old)
				mu.Lock()
				defer mu.Unlock()
				seen[fmt.Sprint(err, " ", got.Refresh)]++
			})
		}
		all.Wait()
		late, err := coordinator.Refresh(t.Context(), old)
		if err != nil || seen[fmt.Sprint(nil, " ", late.Refresh)] != 100 {
			t.Errorf("the answers are %d different ones, and a late one %v", len(seen), err)
		}
		if s := pool.Stats(); s.Calls[getTokens] != 1 || s.Reused != 0 || s.Peak != 1 || len(s.Calls) != 1 {
			t.Errorf("the pool saw %+v, want one call", s)
		}
	})
}

// What a refresh needs besides the refresh token is in the access token, so who
// keeps the tokens must keep that as well.
func TestPoolBehindSessions(t *testing.T) {
	for name, pool := range map[string]*refreshtest.Cognito{
		"with rotation and devices":        {Rotation: true, Devices: true, ClientSecret: secret},
		"where only InitiateAuth is known": {OnlyInitiateAuth: true, Devices: true, ClientSecret: secret},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				kept := &sessions.Sessions{Refresher: poolOf(pool), Store: new(refresh.MemoryStore)}
				defer kept.Close()
				tok, err := kept.Start(t.Context(), pool.Login("alice"), refresh.Identity{Issuer: "https://issuer.test", Subject: "sub-alice"})
				for range 3 {
					if err != nil {
						t.Fatal(err)
					}
					time.Sleep(5 * time.Minute)
					tok, err = kept.Refresh(t.Context(), tok)
				}
				if s := pool.Stats(); err != nil || s.Refreshed != 3 || s.Reused != 0 {
					t.Errorf("%v, %+v, want three refreshes", err, s)
				}
				if err := kept.Revoke(t.Context(), tok); err != nil || pool.Stats().Revoked != 1 {
					t.Errorf("the end: %v, %+v", err, pool.Stats())
				}
			})
		})
	}
}

func TestPoolGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := &refreshtest.Cognito{Rotation: true, Grace: 60 * time.Second}
		client := poolOf(pool)
		old := pool.Login("alice")
		pool.Fail(refreshtest.LostAnswer, 1)
		if _, err := client.Refresh(t.Context(), old); err == nil || errors.Is(err, refresh.ErrDenied) {
			t.Fatalf("a lost answer: %v, want a temporary error", err)
		}
		time.Sleep(60 * time.Second)
		if _, err := client.Refresh(t.Context(), old); err != nil {
			t.Errorf("within the grace: %v", err)
		}
		time.Sleep(time.Second)
		_, err := client.Refresh(t.Context(), old)
		refused, ok := errors.AsType[*refresh.ProviderError](err)
		if !errors.Is(err, refresh.ErrDenied) || !ok || refused.Code != "RefreshTokenReuseException" {
			t.Errorf("after the grace: %v", err)
		}
	})
}

func TestPoolRotationSwitchedOnSignsNobodyOut(t *testing.T) {
	pool := &refreshtest.Cognito{OnlyInitiateAuth: true, ClientSecret: secret}
	client := poolOf(pool)
	old := pool.Login("alice")
	if _, err := client.Refresh(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	known := &refreshtest.Cognito{Rotation: true, ClientSecret: secret}
	client.Client = known.Client()
	old = known.Login("alice")
	got, err := client.Refresh(t.Context(), old)
	if err != nil || got.Refresh == old.Refresh {
		t.Fatalf("after the change: %v", err)
	}
	if _, err := client.Refresh(t.Context(), got); err != nil {
		t.Fatal(err)
	}
	want := map[string]int{initiateAuth: 1, getTokens: 2}
	if calls := known.Stats().Calls; !maps.Equal(calls, want) {
		t.Errorf("calls %v, want %v", calls, want)
	}

	// Not even where InitiateAuth could not be asked at all.
	client.Client = pool.Client()
	if _, err := client.Refresh(t.Context(), pool.Login("alice")); err != nil {
		t.Fatal(err)
	}
	client.Client = known.Client()
	old = known.Login("alice")
	old.Access, old.ID = "", ""
	if _, err := client.Refresh(t.Context(), old); err != nil {
		t.Errorf("without a name for the secret hash: %v", err)
	}
}

func TestPoolDeadTokens(t *testing.T) {
	for _, c := range []struct {
		name  string
		pool  *refreshtest.Cognito
		spoil func(t *testing.T, pool *refreshtest.Cognito, client *cognito.Pool, tok *refresh.Tokens)
		code  string
	}{
		{"revoked", &refreshtest.Cognito{Rotation: true}, revoke, "NotAuthorizedException"},
		{"revoked, where only InitiateAuth is known", &refreshtest.Cognito{OnlyInitiateAuth: true}, revoke, "NotAuthorizedException"},
		{"a disabled user", &refreshtest.Cognito{}, func(t *testing.T, pool *refreshtest.Cognito, _ *cognito.Pool, _ *refresh.Tokens) {
			pool.End("alice")
		}, "NotAuthorizedException"},
		{"expired", &refreshtest.Cognito{RefreshLife: time.Hour}, func(*testing.T, *refreshtest.Cognito, *cognito.Pool, *refresh.Tokens) {
			time.Sleep(time.Hour)
		}, "NotAuthorizedException"},
		{"of nobody", &refreshtest.Cognito{}, func(_ *testing.T, _ *refreshtest.Cognito, _ *cognito.Pool, tok *refresh.Tokens) {
			tok.Refresh = "refresh-token-that-nobody-may-see"
		}, "NotAuthorizedException"},
		{"there is none", &refreshtest.Cognito{}, func(_ *testing.T, _ *refreshtest.Cognito, _ *cognito.Pool, tok *refresh.Tokens) {
			tok.Refresh = ""
		}, ""},
		{"no name for the secret hash", &refreshtest.Cognito{OnlyInitiateAuth: true, ClientSecret: secret}, func(_ *testing.T, _ *refreshtest.Cognito, _ *cognito.Pool, tok *refresh.Tokens) {
			tok.Access, tok.ID = "opaque", ""
		}, ""},
	} {
		for _, used := range []bool{false, true} {
			t.Run(fmt.Sprint(c.name, ", used before: ", used), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					pool := &refreshtest.Cognito{
						Rotation: c.pool.Rotation, OnlyInitiateAuth: c.pool.OnlyInitiateAuth,
						ClientSecret: c.pool.ClientSecret, RefreshLife: c.pool.RefreshLife,
					}
					client := poolOf(pool)
					if used {
						if _, err := client.Refresh(t.Context(), pool.Login("bob")); err != nil {
							t.Fatal(err)
						}
					}
					old := pool.Login("alice")
					c.spoil(t, pool, client, &old)
					got, err := client.Refresh(t.Context(), old)
					if !errors.Is(err, refresh.ErrDenied) || got != (refresh.Tokens{}) {
						t.Fatalf("Refresh = %v, %v, want that the login is over", got, err)
					}
					refused, ok := errors.AsType[*refresh.ProviderError](err)
					if ok != (c.code != "") || ok && refused.Code != c.code {
						t.Errorf("the error is %v, want the code %q", err, c.code)
					}
					silence.Error(t, err, all(old)...)
				})
			})
		}
	}
}

func revoke(t *testing.T, _ *refreshtest.Cognito, client *cognito.Pool, tok *refresh.Tokens) {
	t.Helper()
	if err := client.Revoke(t.Context(), *tok); err != nil {
		t.Fatal(err)
	}
}

func TestPoolNameComesFromTheIDTokenToo(t *testing.T) {
	pool := &refreshtest.Cognito{OnlyInitiateAuth: true, ClientSecret: secret}
	old := pool.Login("alice")
	for name, access := range map[string]string{"no access token": "", "an opaque one": "opaque", "a broken one": "a.b.c"} {
		old.Access = access
		if _, err := poolOf(pool).Refresh(t.Context(), old); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPoolWrongSecretSignsNobodyOut(t *testing.T) {
	for _, pool := range []*refreshtest.Cognito{{ClientSecret: secret, Rotation: true}, {ClientSecret: secret, OnlyInitiateAuth: true}} {
		for name, wrong := range map[string]string{"none": "", "another": "another secret of the client"} {
			client := poolOf(pool)
			old := pool.Login("alice")
			client.ClientSecret = wrong
			for range 2 {
				_, err := client.Refresh(t.Context(), old)
				if _, ok := errors.AsType[*refresh.ProviderError](err); !ok || errors.Is(err, refresh.ErrDenied) {
					t.Errorf("%s: Refresh = %v, want a temporary refusal", name, err)
				}
				_, err = client.Login(t.Context(), "alice", "password")
				if err == nil || errors.Is(err, refresh.ErrDenied) {
					t.Errorf("%s: Login = %v, want a temporary refusal", name, err)
				}
				if err := client.Revoke(t.Context(), old); err == nil || errors.Is(err, refresh.ErrDenied) {
					t.Errorf("%s: Revoke = %v, want an error", name, err)
				}
			}
			if !pool.Live(old) {
				t.Errorf("%s: the refresh token is spent", name)
			}
		}
	}
}
