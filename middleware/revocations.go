package middleware

import (
	"cmp"
	"context"
	"errors"
	"reflect"
	"sync"
	"time"

	"github.com/tokenlife/tokenlife/middleware/internal/revocation"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
)

// Revocations end access tokens before their time: one token, all of a login,
// or all of a subject that were issued before a certain moment. They are for
// those who cannot wait for a token to expire; whoever can does not need them.
// Set in [Auth.Revocations] they hold for every request, and [Auth.SignOut]
// adds to them.
//
// What is revoked is in the Store, and replicas that share the Store agree on
// it. Each remembers what it has read for CacheFor, the one number to choose:
// with 10 s, a token that another replica has revoked is refused within 10 s,
// and a login in use costs at most two Gets of the Store every 9.5 s in each
// replica, whatever number of requests and tokens it has. (Where tokens name no
// login, by sid or origin_jti, each token counts as one.) With a million requests
// a minute from ten thousand logins that is about 2,100 Gets a second and replica;
// with CacheFor at 60 s it is 340. An exchange of a login's tokens reads the
// Store anew, before and after: 4 or 5 Gets, and at most 12 however many requests
// wait for it. What this process has revoked counts here at once.
//
// A Store that fails revokes nothing and ends no login: what is known stays
// known, what is not known counts as good, and for a second nobody asks again.
// No question takes longer than half a second.
//
// The zero value is ready, and is for one process. A Revocations is used by
// pointer, by any number of goroutines, and not copied or changed after its
// first use. It holds no token: the Store gets hashes and times.
type Revocations struct {
	// Store is shared by all replicas. Default: the Store in which they agree on
	// the logins, which is [refresh.SharedStore] of the Auth's Refresher. Where
	// that is nil it is this process's memory, which forgets all with the process,
	// and the oldest beyond 65,536 of them. Set Store if the Revocations are used
	// before their Auth.
	Store refresh.Store

	// CacheFor is how long an answer of the Store is believed, and so how long
	// a revocation may take to be seen by other replicas. Default 10 s; negative:
	// the Store is asked for each request.
	CacheFor time.Duration

	// RetainFor is how long the revocation of a login or of a subject is kept. A
	// login that lives longer, and has not been ended at the provider, comes
	// back when it is over: RetainFor is no less than the longest life of a login.
	// The revocation of one token is kept for the life of that token, or for RetainFor
	// where it does not tell that. Default 720 h.
	RetainFor time.Duration

	once  sync.Once
	of    *revocation.List
	store refresh.Store // of the list
}

const (
	defaultCacheFor  = 10 * time.Second
	defaultRetainFor = 720 * time.Hour
)

// validate returns what is wrong with v for logins on which replicas agree in the
// given Store, which is nil if there is but one replica. That Store is the default
// of v's own.
func (v *Revocations) validate(logins refresh.Store) error {
	if v.RetainFor < 0 {
		return errors.New("middleware: Revocations.RetainFor is negative")
	}
	if logins == nil {
		return nil
	}
	v.open(logins)
	if _, local := v.Store.(*refresh.MemoryStore); local {
		return errors.New("middleware: Revocations.Store is this process's memory, and the logins are shared by replicas: share it as well")
	}
	if v.Store == nil && !sameStore(v.store, logins) {
		return errors.New("middleware: Revocations.Store is nil, and the Revocations have been in use before the Auth, or with another one: set it")
	}
	return nil
}

// sameStore is a == b for Stores of any type.
func sameStore(a, b refresh.Store) bool { return reflect.TypeOf(a).Comparable() && a == b }

func (v *Revocations) list() *revocation.List {
	v.open(nil)
	return v.of
}

// open makes the list at the first call: over v.Store, the given Store, or this
// process's memory, whichever is the first that is not nil.
func (v *Revocations) open(logins refresh.Store) {
	v.once.Do(func() {
		v.store = v.Store
		if v.store == nil {
			v.store = logins
		}
		if v.store == nil {
			v.store = new(refresh.MemoryStore)
		}
		retainFor := v.RetainFor
		if retainFor <= 0 {
			retainFor = defaultRetainFor
		}
		v.of = revocation.New(v.store, max(0, cmp.Or(v.CacheFor, defaultCacheFor)), retainFor)
	})
}

// RevokeToken revokes one access token, which has been verified: it is known
// again by its jti, or else by all of it but the signature. A refresh may bring
// its login a new one.
//
// An error says that other replicas may not learn of it; here it counts. More
// than 64 tokens of one login at a time end the login.
func (v *Revocations) RevokeToken(ctx context.Context, t *verify.Token) error {
	return v.list().RevokeTokens(ctx, t, time.Time{})
}

// RevokeLogin revokes the tokens of a login that were issued before the given
// time, those that expired tokens of before are exchanged for included. Session
// is the provider's name for the login: the claim sid, or else origin_jti. A
// provider may use a name again, where a user signs out here and not there:
// tokens issued later are not touched. A zero time is now.
//
// Tokens tell their age in whole seconds. One that was issued in the second of
// before counts as older, unless before is a whole second itself.
func (v *Revocations) RevokeLogin(ctx context.Context, issuer, session string, before time.Time) error {
	return v.list().RevokeLogin(ctx, issuer, session, before)
}

// RevokeSubject revokes all tokens of a subject that were issued before the
// given time, with their logins, as RevokeLogin does for one: "sign out
// everywhere", or the end of an account. A token that does not tell its age
// counts as older. A zero time is now.
//
// A login that began within the second of before is revoked with the others. Who
// wants to keep one, as after a change of password, gives
// time.Now().Truncate(time.Second) and spares what else began in that second.
// The time is held against the clock of the issuer. A login that [Auth.SignIn]
// begins afterwards is not touched, however late that clock is, up to six minutes.
func (v *Revocations) RevokeSubject(ctx context.Context, issuer, subject string, before time.Time) error {
	return v.list().RevokeSubject(ctx, issuer, subject, before)
}

// Check reports whether a verified token has been revoked. The error wraps
// [refresh.ErrDenied] if its login is over, and [verify.ErrInvalid] if only the
// token is. Any other error says that the Store could not tell, and that nothing
// is known against the token. Check costs no allocation while an answer is
// remembered.
func (v *Revocations) Check(ctx context.Context, t *verify.Token) error {
	return v.list().Check(ctx, t)
}

// revokeAccess revokes the access token of a login that is being ended, and the
// others that the login has got by now. Only a token that has been verified says
// whose login that is: anybody can send one that has not.
func (a *Auth) revokeAccess(ctx context.Context, t refresh.Tokens) error {
	if a.Revocations == nil || t.Access == "" {
		return nil
	}
	token, err := a.tokenOf(ctx, t.Access)
	if err != nil {
		return nil
	}
	// The login itself is ended by the Coordinator, which knows what the browser
	// has been told. A provider's session may outlast this sign-out, and what the
	// user gets by signing in again has the same name: whole seconds spare it.
	return a.Revocations.list().RevokeTokens(ctx, token, time.Now().Truncate(time.Second))
}
