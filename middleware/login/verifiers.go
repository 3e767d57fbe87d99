package login

import (
	"errors"
	"fmt"

	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
)

func (f *Flow) setUpIDTokens() error {
	if f.idTokens = f.IDTokens; f.idTokens != nil || f.WithoutIDToken {
		return nil
	}
	if f.Client.Discovery == nil {
		return errors.New("login: Flow.IDTokens is nil, and Client.Discovery, which would find the keys, as well")
	}
	own, err := f.ownVerifier()
	f.idTokens = own
	return err
}

func (f *Flow) setUpLogout() error {
	f.store = f.Store
	if v := f.Auth.Revocations; f.store == nil && v != nil {
		f.store = v.Store
	}
	switch logins := refresh.SharedStore(f.Auth.Refresher); {
	case logins == nil:
	case f.store == nil:
		f.store = logins
	case isLocal(f.store):
		return errors.New("login: Flow.Store is this process's memory, and the logins are shared by replicas: share it as well")
	}
	if f.store == nil {
		f.store = new(refresh.MemoryStore)
	}
	if f.logoutTokens = f.LogoutTokens; f.logoutTokens != nil || f.Client.Discovery == nil {
		return nil
	}
	own, err := f.ownVerifier("logout+jwt", "JWT", "")
	if err == nil {
		own.CacheTokens = -1 // each is good once
		f.logoutTokens = own
	}
	return err
}

// isLocal reports whether s is this process's memory.
func isLocal(s refresh.Store) bool {
	_, ok := s.(*refresh.MemoryStore)
	return ok
}

// ownVerifier returns a Verifier of tokens for this client. The Flow closes it.
func (f *Flow) ownVerifier(types ...string) (*verify.JWT, error) {
	own, err := verify.New(verify.Issuer{URL: f.issuer, Audience: []string{f.Client.ClientID}, Types: types})
	if err != nil {
		return nil, fmt.Errorf("login: Flow.Issuer: %w", err)
	}
	own.Client = f.Client.Client
	f.own = append(f.own, own)
	return own, nil
}
