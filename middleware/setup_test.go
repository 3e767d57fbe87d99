package middleware_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"strings"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/cookies"
	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/cognito"
	"github.com/tokenlife/tokenlife/refresh/local"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
	"github.com/tokenlife/tokenlife/refresh/sessions"
)

func TestWrongConfigurationIsOneLineThatNamesTheField(t *testing.T) {
	shared := new(refreshtest.FaultyStore) // by replicas: it is none of this process's memory
	issuer := func(store refresh.Store) *local.Issuer {
		return &local.Issuer{URL: "https://shop.test", Audience: []string{"shop"}, Store: store, Secret: make([]byte, 32)}
	}
	kept := func(store refresh.Store) *sessions.Sessions {
		return &sessions.Sessions{Refresher: &provider{}, Store: store}
	}
	used := new(middleware.Revocations)
	_ = used.RevokeSubject(t.Context(), "https://issuer.test", "ann", time.Now())
	good := middleware.VerifierFunc(func(context.Context, string) (*verify.Token, error) { return nil, verify.ErrInvalid })
	for _, tt := range []struct {
		auth *middleware.Auth
		want string
	}{
		{&middleware.Auth{}, "Auth.Verifier"},
		{&middleware.Auth{Verifier: good, Realm: "a\"b"}, "Auth.Realm"},
		{&middleware.Auth{Verifier: good, LoginURL: "javascript:alert(1)"}, "Auth.LoginURL"},
		{&middleware.Auth{Verifier: good, LoginURL: "login"}, "Auth.LoginURL"},
		{&middleware.Auth{Verifier: good, Cookies: cookies.Policy{Prefix: "x"}}, "Auth.Cookies: cookies: Policy.Prefix"},
		{&middleware.Auth{Verifier: good, Refresher: &refresh.Coordinator{}}, "Auth.Refresher: refresh: Coordinator.Refresher"},
		{&middleware.Auth{Verifier: good, Refresher: &refresh.OAuth2{}}, "Auth.Refresher: refresh: OAuth2."},
		{&middleware.Auth{Verifier: good, Refresher: &refresh.Coordinator{Refresher: &cognito.Pool{}}}, "Auth.Refresher: cognito: Pool."},

		// What would sign users out, or not sign them out, as soon as there are
		// two replicas.
		{
			&middleware.Auth{Verifier: good, Refresher: &refresh.Coordinator{
				Store: shared, Refresher: &local.Issuer{URL: "https://shop.test", Audience: []string{"shop"}},
			}}, "Auth.Refresher: refresh: Coordinator.Store is shared, and the logins are in this process's memory: set local.Issuer.Store",
		},
		{&middleware.Auth{Verifier: good, Refresher: &refresh.Coordinator{Store: shared, Refresher: issuer(new(refresh.MemoryStore))}}, "set local.Issuer.Store"},
		{&middleware.Auth{Verifier: good, Refresher: &refresh.Coordinator{Store: shared, Refresher: kept(new(refresh.MemoryStore))}}, "set sessions.Sessions.Store"},
		{
			&middleware.Auth{Verifier: good, Refresher: &local.Issuer{URL: "https://shop.test", Audience: []string{"shop"}, Store: shared}},
			"set Issuer.Secret",
		},
		{
			&middleware.Auth{
				Verifier: good, Refresher: &refresh.Coordinator{Store: shared, Refresher: &provider{}},
				Revocations: &middleware.Revocations{Store: new(refresh.MemoryStore)},
			}, "Revocations.Store",
		},
		{&middleware.Auth{Verifier: good, Refresher: issuer(shared), Revocations: used}, "Revocations.Store"},
	} {
		err := tt.auth.Validate()
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v does not name %s in one line", err, tt.want)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Require accepts what Validate refuses: %s", tt.want)
				}
			}()
			tt.auth.Require(whoami)
		}()
	}
}

// A configuration that is right for one process, or for many, is accepted.
func TestStoresThatFitTogether(t *testing.T) {
	good := middleware.VerifierFunc(func(context.Context, string) (*verify.Token, error) { return nil, verify.ErrInvalid })
	shared := new(refreshtest.FaultyStore)
	issuer := &local.Issuer{URL: "https://shop.test", Audience: []string{"shop"}, Store: shared, Secret: make([]byte, 32)}
	used := new(middleware.Revocations)
	_ = used.RevokeSubject(t.Context(), "https://issuer.test", "ann", time.Now())
	for name, a := range map[string]*middleware.Auth{
		"an issuer in memory": {Refresher: &local.Issuer{URL: "https://shop.test", Audience: []string{"shop"}}, Revocations: &middleware.Revocations{}},
		"all in memory": {Refresher: &refresh.Coordinator{
			Store: new(refresh.MemoryStore), Refresher: &local.Issuer{URL: "https://shop.test", Audience: []string{"shop"}},
		}, Revocations: &middleware.Revocations{Store: new(refresh.MemoryStore)}},
		"an issuer with a Store in memory": {Refresher: &local.Issuer{URL: "https://shop.test", Audience: []string{"shop"}, Store: new(refresh.MemoryStore)}},
		"an issuer with keys of its own":   {Refresher: &local.Issuer{URL: "https://shop.test", Audience: []string{"shop"}, Store: shared, Signers: []crypto.Signer{ed25519.NewKeyFromSeed(make([]byte, 32))}}},
		"all shared": {Refresher: &refresh.Coordinator{
			Store: shared, Refresher: &sessions.Sessions{Refresher: &provider{}, Store: shared},
		}, Revocations: &middleware.Revocations{Store: shared}},
		"revocations that have been in use before": {Refresher: &refresh.Coordinator{Store: new(refresh.MemoryStore), Refresher: &provider{}}, Revocations: used},
		"logins shared, and what flows in memory":  {Refresher: &refresh.Coordinator{Store: new(refresh.MemoryStore), Refresher: issuer}, Revocations: &middleware.Revocations{}},
		"revocations shared, and nothing else":     {Refresher: &provider{}, Revocations: &middleware.Revocations{Store: shared}},
		"no refresher":                             {Revocations: &middleware.Revocations{}},
	} {
		a.Verifier = good
		if err := a.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A revocation at one replica counts at the others although Revocations.Store
// is not set.
func TestRevocationsAreInTheStoreOfTheLogins(t *testing.T) {
	for name, refresher := range map[string]func(p *provider, s refresh.Store) refresh.Refresher{
		"a Coordinator's": func(p *provider, s refresh.Store) refresh.Refresher {
			return &refresh.Coordinator{Refresher: p, Store: s}
		},
		"that of sessions": func(p *provider, s refresh.Store) refresh.Refresher {
			return &sessions.Sessions{Refresher: p, Store: s}
		},
		"that of sessions behind a Coordinator in memory": func(p *provider, s refresh.Store) refresh.Refresher {
			return &refresh.Coordinator{Refresher: &sessions.Sessions{Refresher: p, Store: s}, Store: new(refresh.MemoryStore)}
		},
		"that of sessions behind a Coordinator": func(p *provider, s refresh.Store) refresh.Refresher {
			return &refresh.Coordinator{Refresher: &sessions.Sessions{Refresher: p, Store: s}}
		},
	} {
		store := new(refreshtest.FaultyStore)
		replica := func() *world {
			w := newWorld()
			w.Refresher, w.Revocations = refresher(w.provider, store), &middleware.Revocations{}
			if err := w.Validate(); err != nil {
				t.Fatal(err)
			}
			return w
		}
		here, there := replica(), replica()
		token := here.tokenOf(t, accessToken("ann", 0, time.Now()))
		if err := here.Revocations.RevokeSubject(t.Context(), token.Issuer, token.Subject, time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		if there.Revocations.Check(t.Context(), token) == nil {
			t.Errorf("%s: another replica does not know that the login has been revoked", name)
		}
	}
}
