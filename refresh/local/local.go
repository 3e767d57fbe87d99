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

// An Issuer signs in the users of one service. It is the [refresh.Refresher]
// and [refresh.Revoker] of their logins, which are kept by package sessions.
//
// An error that wraps [refresh.ErrDenied] says that a login is over, one that
// wraps [refresh.ErrNotFound] that there is none. Every other error is temporary,
// or tells of a mistake in the program; Validate finds those of the configuration
// at its start.
//
// Set the fields before the first use, do not change or copy an Issuer after it,
// and use it by pointer, from any number of goroutines.
type Issuer struct {
	// URL is the issuer's name, an absolute URL, in the tokens' iss. Nothing
	// needs to be served there. Required.
	URL string

	// Audience names who the access tokens are for, in their aud. Required.
	Audience []string

	// Life is how long an access token lives, in whole seconds. Default 5 min.
	Life time.Duration

	// Idle is how long a login lives without a refresh. It should be several
	// times Life. Default: as long as Absolute.
	Idle time.Duration

	// Absolute is how long a login lives from its start. Default 720 h.
	Absolute time.Duration

	// Grace and Keep are how long a refresh token that has been replaced is good
	// after its successor has been presented, and while that has not been; see
	// [sessions.Sessions]. Default 30 s and 24 h; negative: none.
	Grace, Keep time.Duration

	// Store keeps the logins, and the signing keys where there is a Secret.
	// Replicas share it. Default: a [refresh.MemoryStore] of its own, which
	// forgets them when the program ends.
	Store refresh.Store

	// Claims returns claims to add to a subject's access tokens, such as scope.
	// It is called at the start of a login and at every refresh, so that the
	// claims are never older than the access token. The claims of RFC 9068,
	// section 2.2, and others that this package sets, cannot be replaced. An error
	// that wraps [refresh.ErrDenied] ends the login; every other one leaves it.
	// Default: none.
	Claims func(ctx context.Context, subject string) (map[string]any, error)

	// Observe hears of logins that end by reuse, by Claims, or because their
	// subject has too many: [event.HandleReused], [event.LoginDenied] and
	// [event.LoginDisplaced]. Default: the hook of the middleware.Auth whose
	// Refresher this is, or none.
	Observe event.Hook

	// Algorithm is what the Issuer signs with, by keys that it makes itself:
	// "ES256", "RS256" or "EdDSA". It may be changed from one start to the next.
	// Default "ES256".
	Algorithm string

	// RotateEvery is how long a key signs, an hour or more. Default 24 h.
	RotateEvery time.Duration

	// Secret is 32 random bytes that seal the signing keys in the Store, where
	// replicas share them and a restart finds them. Another Secret is as good as
	// other keys. Required with a Store that is not a [refresh.MemoryStore], unless
	// there are Signers. Default: the keys are in this program's memory alone.
	Secret []byte

	// Signers are keys of the program's own, in place of those that the Issuer
	// makes: RSA (of 2048 bits or more), ECDSA on P-256, or Ed25519, in memory or
	// in a device. The first one signs, the others are only published. So a new
	// key comes in as the last for a quarter of an hour and is then the first;
	// the one before stays until Life has passed. Default: none.
	Signers []crypto.Signer

	once   sync.Once
	err    error // of Validate
	life   time.Duration
	rotate time.Duration
	alg    string
	shared refresh.Store // of the keys; nil: not shared
	logins *sessions.Sessions

	fallback event.Fallback // where Observe is nil

	turning sync.Mutex // one caller makes keys
	keys    atomic.Pointer[keySet]
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

// ready makes what an Issuer has beside its configuration.
func (i *Issuer) ready() error {
	i.once.Do(func() {
		if i.err = i.Validate(); i.err != nil {
			return
		}
		i.life = cmp.Or(i.Life, DefaultLife)
		i.rotate = cmp.Or(i.RotateEvery, DefaultRotateEvery)
		i.alg = cmp.Or(i.Algorithm, signer.ES256)
		store := i.Store
		if store == nil {
			store = new(refresh.MemoryStore)
		}
		if len(i.Secret) != 0 {
			i.shared = store
		}
		i.logins = &sessions.Sessions{
			Refresher: refresh.Func(i.next), Store: store, ShowAccess: true,
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
