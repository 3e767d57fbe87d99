package refresh

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// A Keeper is a [Refresher] that keeps the tokens of logins on the server. Its
// clients hold handles in their place: random values that mean nothing to
// anybody else. What wraps a Keeper forwards it, as a [Coordinator] does.
//
// A Keeper that keeps ID tokens has a method
//
//	IDToken(ctx context.Context, refresh string) (string, error)
//
// that returns the ID token of the login with a client's refresh handle, or ""
// if it has none. A sign-out asks for it before the login is ended.
type Keeper interface {
	Refresher

	// Start begins a login with a provider's tokens and returns what its client
	// is to hold instead: handles, or the tokens themselves where they may be
	// seen. The times are those of t, or earlier.
	Start(ctx context.Context, t Tokens, whose Identity) (Tokens, error)

	// Access returns the access token that a client's Access stands for. An
	// error that wraps [ErrNotFound] says that it stands for none; every other
	// error is temporary.
	Access(ctx context.Context, handle string) (string, error)
}

// An Identity says whose login it is that begins.
type Identity struct {
	Issuer  string // of the tokens
	Subject string // of the tokens
	Session string // the provider's name for its session, the claim sid; may be empty
	Device  string // how the user may know the device again, such as a User-Agent; may be empty

	// IssuedAt is when the issuer has made the access token, by its own clock. It
	// may be zero.
	IssuedAt time.Time
}

// A Replacer is a [Refresher] that is told by a [Coordinator] that the user of a
// login has signed in anew in the same browser: see [Coordinator.Replace].
type Replacer interface {
	Replaced(ctx context.Context, t Tokens) error
}

// An Arriver is told by a [Coordinator] that a client has presented the new
// tokens of a refresh, access being the new access token or its handle: those
// that were exchanged for them need not be good any longer than Grace from now.
// It is called at least once per refresh if anybody presents them, apart from
// the request that did.
type Arriver interface {
	Arrived(ctx context.Context, access string) error
}

// A loginKeeper is a [Refresher] that keeps logins in a Store of its own. A nil
// Store is this process's memory.
type loginKeeper interface{ LoginStore() Store }

// SharedStore returns the Store in which replicas agree on the logins of r: the
// Store of a [Coordinator], or the Store in which r keeps its logins, which it
// returns from a method LoginStore() Store. SharedStore returns nil if there is
// none, or if it is a [MemoryStore], which other replicas do not see.
func SharedStore(r Refresher) Store {
	if c, ok := r.(*Coordinator); ok {
		if isShared(c.Store) {
			return c.Store
		}
		r = c.Refresher
	}
	if k, ok := r.(loginKeeper); ok && isShared(k.LoginStore()) {
		return k.LoginStore()
	}
	return nil
}

// isShared reports whether other replicas can see what is in s.
func isShared(s Store) bool {
	_, local := s.(*MemoryStore)
	return s != nil && !local
}

// checkLogins returns an error if replicas share c's Store, and the Refresher keeps
// its logins in the memory of each: a login would end as soon as its browser comes
// to another replica.
func (c *Coordinator) checkLogins() error {
	if _, ok := c.Refresher.(loginKeeper); !ok || !isShared(c.Store) || SharedStore(c.Refresher) != nil {
		return nil
	}
	return fmt.Errorf("refresh: Coordinator.Store is shared, and the logins are in this process's memory: set %s.Store",
		strings.TrimPrefix(fmt.Sprintf("%T", c.Refresher), "*"))
}

// Keeper returns the Refresher if it is a [Keeper].
func (c *Coordinator) Keeper() (Keeper, bool) {
	k, ok := c.Refresher.(Keeper)
	return k, ok
}
