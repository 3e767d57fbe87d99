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

// Revocations revoke access tokens before they expire: one token, all tokens of
// a login, or all tokens of a subject that were issued before a given time.
// They are for services that cannot wait until a token expires. Set in
// [Auth.Revocations] they apply to every request, and [Auth.SignOut] adds to
// them.
//
// The Store has what is revoked, and is shared by all replicas. Each replica
// remembers the answers of the Store for CacheFor. With 10 s, a token that
// another replica has revoked is refused within 10 s. What this process has
// revoked counts here at once.
//
// A login in use costs each replica at most two Gets in 9.5 s, however many
// requests and tokens it has. A token without the name of its login (sid or
// origin_jti) counts as a login. A million requests a minute from ten thousand
// logins make about 2,100 Gets a second in each replica, and with CacheFor at
// 60 s they make 340. A refresh reads the Store again before and after the
// exchange: 4 or 5 Gets, and at most 12 however many requests wait for it.
//
// A failing Store ends no login. What is known to be revoked stays revoked, and
// all else counts as good. The Store is not asked again for a second. A request
// waits for it for half a second at most.
//
// The zero value is ready to use in one process. A Revocations is used by
// pointer and by several goroutines at once. It must not be copied or changed
// after its first use. The Store gets hashes and times, and no token.
type Revocations struct {
	// Store is shared by all replicas. Default: the Store in which they agree
	// on the logins, which is [refresh.SharedStore] of the Auth's Refresher. If
	// that is nil, the default is this process's memory, which has room for
	// 65,536 revocations and forgets the oldest. Set Store if the Revocations
	// are used before their Auth.
	Store refresh.Store

	// CacheFor is how long an answer of the Store is used. So it is how long a
	// revocation by another replica may take to count. Default 10 s; negative:
	// the Store is asked at each request.
	CacheFor time.Duration

	// RetainFor is how long the revocation of a login or a subject is kept. It
	// must be no less than the longest life of a login: a longer login that the
	// provider has not ended would come back. The revocation of one token is
	// kept until that token expires, or for RetainFor if it has no expiry.
	// Default 720 h.
	RetainFor time.Duration

	once  sync.Once
	of    *revocation.List
	store refresh.Store // of the list
}

const (
	defaultCacheFor  = 10 * time.Second
	defaultRetainFor = 720 * time.Hour
)

// validate returns what is wrong with v. Logins is the Store in which replicas
// agree on the logins; nil: there is one replica. It becomes the default of
// v.Store.
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

// sameStore reports whether a and b are one Store. Stores of a type that cannot
// be compared are not.
func sameStore(a, b refresh.Store) bool { return reflect.TypeOf(a).Comparable() && a == b }

// list returns the list, and makes it at the first call.
func (v *Revocations) list() *revocation.List {
	v.open(nil)
	return v.of
}

// open makes the list at the first call. Its Store is v.Store, or else logins,
// or else this process's memory.
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

// RevokeToken revokes one verified access token. Its name is its jti, or
// without one all of it but the signature. The login goes on: a refresh may
// bring it another token. If more than 64 tokens of one login are revoked at a
// time, the login ends.
//
// After an error other replicas may not know of the revocation. It counts here.
func (v *Revocations) RevokeToken(ctx context.Context, t *verify.Token) error {
	return v.list().RevokeTokens(ctx, t, time.Time{})
}

// RevokeLogin revokes the tokens of a login that were issued before the given
// time, and those that they are exchanged for. A zero time is now. Session is
// the provider's name for the login: the claim sid, or else origin_jti. A
// provider may use the name again if the user signs out here and not there, so
// tokens issued later are not revoked.
//
// Tokens have their time of issue in whole seconds. A token that was issued in
// the second of before counts as older, unless before is a whole second.
func (v *Revocations) RevokeLogin(ctx context.Context, issuer, session string, before time.Time) error {
	return v.list().RevokeLogin(ctx, issuer, session, before)
}

// RevokeSubject revokes all tokens of a subject that were issued before the
// given time, and ends their logins, as RevokeLogin does for one login. It is
// for "sign out everywhere" and for the end of an account. A token without a
// time of issue counts as older. A zero time is now.
//
// A login that began in the second of before is revoked as well. To spare it,
// as after a change of password, pass time.Now().Truncate(time.Second). That
// spares all logins that began in that second.
//
// The time is compared with the clock of the issuer. A login that [Auth.SignIn]
// begins later is not revoked if that clock is slow by six minutes or less.
func (v *Revocations) RevokeSubject(ctx context.Context, issuer, subject string, before time.Time) error {
	return v.list().RevokeSubject(ctx, issuer, subject, before)
}

// Check returns an error if a verified token is revoked. The error wraps
// [refresh.ErrDenied] if the login is revoked, and [verify.ErrInvalid] if only
// the token is. Any other error says that the Store has failed, and that the
// token is not known to be revoked. Check makes no allocation while answers are
// cached.
func (v *Revocations) Check(ctx context.Context, t *verify.Token) error {
	return v.list().Check(ctx, t)
}

// revokeAccess revokes the access token of a login that ends, and those that
// the login has got before. It does nothing if the token is not good: then
// anybody may have sent it, and it does not prove whose login it is.
func (a *Auth) revokeAccess(ctx context.Context, t refresh.Tokens) error {
	if a.Revocations == nil || t.Access == "" {
		return nil
	}
	token, err := a.tokenOf(ctx, t.Access)
	if err != nil {
		return nil
	}
	// The Coordinator ends the login itself. The provider's session may go on,
	// and the user's next login may have the same name. Its tokens are spared
	// if they are issued in this second.
	return a.Revocations.list().RevokeTokens(ctx, token, time.Now().Truncate(time.Second))
}
