package local

import (
	"cmp"
	"context"
	"crypto"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/event"
	"github.com/tokenlife/tokenlife/refresh/internal/signer"
	"github.com/tokenlife/tokenlife/refresh/sessions"
)

// Defaults of the fields of an Issuer.
const (
	DefaultLife        = 5 * time.Minute
	DefaultRotateEvery = 24 * time.Hour
)

// An Issuer issues the tokens of one service's users. It is the
// [refresh.Refresher] and [refresh.Revoker] of their logins, which package
// sessions keeps.
//
// An error that wraps [refresh.ErrDenied] says that a login is over, one that
// wraps [refresh.ErrNotFound] that there is no such login. Every other error is
// temporary, or a mistake in the program. Validate finds mistakes in the
// configuration.
//
// Set the fields before the first use. Then do not change or copy the Issuer,
// and use it by pointer, from any number of goroutines.
type Issuer struct {
	// URL is the issuer's name, an absolute URL, which is the claim iss of the
	// tokens. Nothing needs to be served there. Required.
	URL string

	// Audience is the claim aud of the access tokens: the services that they
	// are for. Required.
	Audience []string

	// Life is how long an access token lives, in whole seconds. Default 5 min.
	Life time.Duration

	// Idle is how long a login lives without a refresh. It should be several
	// times Life. Default: Absolute.
	Idle time.Duration

	// Absolute is how long a login lives from its start. Default 720 h.
	Absolute time.Duration

	// Grace is how long a replaced refresh token is good after its successor
	// has been presented, and Keep how long it is good while the successor has
	// not been; see [sessions.Sessions]. Default 30 s and 24 h; negative: none.
	Grace, Keep time.Duration

	// Store keeps the logins, and with a Secret the signing keys. Replicas
	// share it. Default: a [refresh.MemoryStore] of this Issuer, which is lost
	// when the program ends.
	Store refresh.Store

	// Claims returns claims to add to a subject's access tokens, such as scope.
	// It is called at the start of a login and at every refresh, so that the
	// claims are never older than the access token. It cannot replace the
	// claims that this package sets, such as those of RFC 9068, section 2.2. An
	// error that wraps [refresh.ErrDenied] ends the login. Every other error
	// leaves it as it is. Default: none.
	Claims func(ctx context.Context, subject string) (map[string]any, error)

	// Observe hears of logins that end by reuse, by Claims, or because their
	// subject has too many: [event.HandleReused], [event.LoginDenied] and
	// [event.LoginDisplaced]. Default: the hook of the middleware.Auth whose
	// Refresher this is, or none.
	Observe event.Hook

	// Algorithm is that of the signing keys that the Issuer makes: "ES256",
	// "RS256" or "EdDSA". It may be changed from one start to the next. Default
	// "ES256".
	Algorithm string

	// RotateEvery is how long a key signs, an hour or more. Default 24 h.
	RotateEvery time.Duration

	// Secret is 32 random bytes that seal the signing keys in the Store. With a
	// Secret, replicas share the keys, and they survive a restart. A new Secret
	// means new keys. Required with a Store that is not a
	// [refresh.MemoryStore], unless there are Signers. Default: the keys are in
	// this program's memory alone.
	Secret []byte

	// Signers are the program's own keys, in place of those that the Issuer
	// makes: RSA of 2048 bits or more, ECDSA on P-256, or Ed25519, in memory or
	// in a device. The first one signs, all are published. To rotate, add a new
	// key at the end, a quarter of an hour later move it to the front, and
	// remove the old one when Life has passed. Default: none.
	Signers []crypto.Signer

	once        sync.Once
	err         error // of Validate
	life        time.Duration
	rotateEvery time.Duration
	alg         string
	shared      refresh.Store // Store, if the keys are in it; else nil
	logins      *sessions.Sessions

	fallback event.Fallback // where Observe is nil

	rotating sync.Mutex // held by the caller that rotates the keys
	keys     atomic.Pointer[keySet]
}

var (
	_ refresh.Refresher = (*Issuer)(nil)
	_ refresh.Revoker   = (*Issuer)(nil)
	_ refresh.Arriver   = (*Issuer)(nil)
)

// Validate reports a mistake in the configuration, naming the field.
func (i *Issuer) Validate() error {
	if i == nil {
		return errors.New("local: the Issuer is nil")
	}
	u, err := url.Parse(i.URL)
	switch {
	case i.URL == "":
		return errors.New("local: Issuer.URL is empty")
	case err != nil || u.Scheme == "" || u.Host == "":
		return errors.New("local: Issuer.URL is not an absolute URL")
	case len(i.Audience) == 0 || slices.Contains(i.Audience, ""):
		return errors.New("local: Issuer.Audience is empty or has an empty name")
	case i.Life < 0 || i.Life%time.Second != 0:
		return errors.New("local: Issuer.Life is not a whole number of seconds above zero")
	case i.Idle < 0:
		return errors.New("local: Issuer.Idle is negative")
	case i.Absolute < 0:
		return errors.New("local: Issuer.Absolute is negative")
	case i.Algorithm != "" && !slices.Contains([]string{signer.ES256, signer.RS256, signer.EdDSA}, i.Algorithm):
		return errors.New("local: Issuer.Algorithm is none of ES256, RS256 and EdDSA")
	case i.RotateEvery != 0 && i.RotateEvery < time.Hour:
		return errors.New("local: Issuer.RotateEvery is less than an hour")
	case len(i.Secret) != 0 && len(i.Secret) != 32:
		return errors.New("local: Issuer.Secret is not 32 bytes long")
	case len(i.Secret) != 0 && i.Store == nil:
		return errors.New("local: Issuer.Secret is set, and there is no Store to keep keys in")
	case len(i.Secret) == 0 && len(i.Signers) == 0 && isShared(i.Store):
		return errors.New("local: Issuer.Store is shared, and the signing keys are in this process's memory: set Issuer.Secret")
	case len(i.Signers) > 0 && (len(i.Secret) != 0 || i.Algorithm != "" || i.RotateEvery != 0):
		return errors.New("local: Issuer.Signers is set, and Algorithm, RotateEvery or Secret as well")
	}
	for n, s := range i.Signers {
		if _, err := signer.From(s); err != nil {
			return fmt.Errorf("local: Issuer.Signers[%d]: %w", n, err)
		}
	}
	return nil
}

// isShared reports whether other replicas can see what is in a Store.
func isShared(s refresh.Store) bool {
	_, local := s.(*refresh.MemoryStore)
	return s != nil && !local
}

// LoginStore returns Store, for [refresh.SharedStore].
func (i *Issuer) LoginStore() refresh.Store { return i.Store }

// init validates the configuration and sets the unexported fields, once.
func (i *Issuer) init() error {
	i.once.Do(func() {
		if i.err = i.Validate(); i.err != nil {
			return
		}
		i.life = cmp.Or(i.Life, DefaultLife)
		i.rotateEvery = cmp.Or(i.RotateEvery, DefaultRotateEvery)
		i.alg = cmp.Or(i.Algorithm, signer.ES256)
		store := i.Store
		if store == nil {
			store = new(refresh.MemoryStore)
		}
		if len(i.Secret) != 0 {
			i.shared = store
		}
		i.logins = &sessions.Sessions{
			Refresher: refresh.Func(i.nextAccess), Store: store, ShowAccess: true,
			Grace: i.Grace, Keep: i.Keep, Idle: i.Idle, Absolute: i.Absolute,
			Observe: i.observe,
		}
	})
	return i.err
}

// ObserveDefault implements [event.Observable]: h hears what the Issuer tells
// where Observe is nil.
func (i *Issuer) ObserveDefault(h event.Hook) { i.fallback.Set(h) }

func (i *Issuer) observe(ctx context.Context, e event.Event) {
	i.fallback.For(i.Observe).Tell(ctx, e)
}
