package sessions

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/internal/seal"
)

// A login is the record of a login in the Store, under its name. It changes by
// compare-and-swap alone. No handle can be read from it, and no token without a
// handle: secrets of 256 random bits need no salt and no slow hash.
//
// Times are Unix milliseconds, by the clock of who wrote them but for Issued.
type login struct {
	Issuer  string `json:"iss"`
	Subject string `json:"sub"`
	Session string `json:"sid,omitempty"`
	Device  string `json:"device,omitempty"`
	Since   int64  `json:"since"`         // when it began
	Issued  int64  `json:"iat,omitempty"` // the same by the provider's clock, if that is known
	Used    int64  `json:"used"`          // when it was refreshed last
	Last    int64  `json:"last"`          // when it ends, however it is used
	Ends    int64  `json:"ends"`          // when it ends unless it is refreshed; Last at the latest

	Hash    []byte         `json:"hash,omitempty"`   // of the current handle
	Sealed  []byte         `json:"sealed,omitempty"` // the provider's tokens but the access token, under the current handle
	Access  []sealedAccess `json:"access,omitempty"` // access tokens, newest first
	Before  []successor    `json:"before,omitempty"` // the handles before, newest first
	Arrived bool           `json:"arrived,omitempty"`

	Over int64  `json:"over,omitempty"` // when it was ended; 0: it is alive
	Why  string `json:"why,omitempty"`
}

// A sealedAccess is an access token, sealed under its access handle.
type sealedAccess struct {
	Hash   []byte `json:"hash"`
	Sealed []byte `json:"sealed"`
}

// A successor is the handle that has taken the place of another, sealed under
// that one.
type successor struct {
	Hash  []byte `json:"hash"`  // of the handle that was replaced
	Next  []byte `json:"next"`  // the handle in its place, sealed
	Until int64  `json:"until"` // when the replaced handle ceases to be good
}

// Bounds of a login's record. Two access tokens, because the one before may
// still be presented, expired: it tells whose the login was.
const (
	maxAccess     = 2
	maxSuccessors = 8
	maxRecord     = 64 << 10 // what a Store takes
)

// Why a login is over.
const (
	whySignedOut = "signed out"
	whyReused    = "reused"
	whyDenied    = "denied"
	whyEnded     = "ended"
	whyReplaced  = "replaced by a new sign-in"
)

var errUnreadable = errors.New("sessions: a record in the store that cannot be read")

// A stored is a login as it was found in the Store.
type stored struct {
	login
	name string
	raw  []byte
	read time.Time // a time shortly before it was read or written; zero: not known
}

func decode(name string, raw []byte) (*stored, error) {
	at := &stored{name: name, raw: raw}
	if json.Unmarshal(raw, &at.login) != nil || at.Ends == 0 {
		return nil, errUnreadable
	}
	return at, nil
}

func (l *login) encode() ([]byte, error) {
	raw, err := json.Marshal(l)
	if err != nil {
		return nil, err
	}
	if len(raw) > maxRecord {
		return nil, fmt.Errorf("sessions: the tokens of a login are too large for the store, which would have to take %d bytes", len(raw))
	}
	return raw, nil
}

// alive reports whether the login is good at a time.
func (l *login) alive(now time.Time) bool { return l.Over == 0 && now.UnixMilli() < l.Ends }

func (l *login) left(now time.Time) time.Duration {
	return time.UnixMilli(l.Ends).Sub(now)
}

// setTokens makes t the login's tokens and h its current handle.
func (l *login) setTokens(name string, h handle, t refresh.Tokens) error {
	access := h.access()
	token, err := l.seal(name, access, []byte(t.Access))
	if err != nil {
		return err
	}
	l.Access = slices.Insert(slices.Clone(l.Access), 0, sealedAccess{hash(access), token}) // others read the old ones
	l.Access = l.Access[:min(len(l.Access), maxAccess)]
	t.Access = ""
	plain, err := json.Marshal(t)
	if err != nil {
		return err
	}
	l.Sealed, err = l.seal(name, string(h), plain)
	l.Hash = hash(string(h))
	return err
}

// succeed makes next the successor of h, the handle that was current. Older
// handles are good for grace, because their successors have arrived.
func (l *login) succeed(name string, h, next handle, now time.Time, grace, keep time.Duration) error {
	sealed, err := l.seal(name, successorKey(h), []byte(next))
	if err != nil {
		return err
	}
	l.arrive(now, grace)
	l.Before = slices.DeleteFunc(slices.Clone(l.Before), func(b successor) bool { return b.Until <= now.UnixMilli() })
	l.Before = slices.Insert(l.Before, 0, successor{hash(string(h)), sealed, now.Add(keep).UnixMilli()})
	l.Before = l.Before[:min(len(l.Before), maxSuccessors)]
	l.Arrived = false
	return nil
}

// arrive notes that a client has presented the current handle. The handle
// before it is good for grace from now on. It reports whether that is news.
func (l *login) arrive(now time.Time, grace time.Duration) bool {
	if l.Arrived || len(l.Before) == 0 {
		return false
	}
	l.Before = slices.Clone(l.Before)
	l.Before[0].Until = min(l.Before[0].Until, now.Add(grace).UnixMilli())
	l.Arrived = true
	return true
}

// follow returns the current handle if h is that, or a handle before it that is
// still good at a time.
func (at *stored) follow(h handle, now time.Time) (handle, bool) {
	for range maxSuccessors + 1 {
		sum := hash(string(h))
		if same(sum, at.Hash) {
			return h, true
		}
		i := slices.IndexFunc(at.Before, func(b successor) bool { return same(b.Hash, sum) })
		if i < 0 || at.Before[i].Until <= now.UnixMilli() {
			return "", false
		}
		next, err := at.open(successorKey(h), at.Before[i].Next)
		if err != nil {
			return "", false
		}
		h = handle(next)
	}
	return "", false
}

// tokens returns the provider's tokens, which the current handle opens.
func (at *stored) tokens(current handle) (t refresh.Tokens, err error) {
	plain, err := at.open(string(current), at.Sealed)
	if err != nil || json.Unmarshal(plain, &t) != nil {
		return refresh.Tokens{}, errUnreadable
	}
	t.Access, err = at.access(current.access())
	return t, err
}

// access returns the access token that an access handle opens.
func (at *stored) access(handle string) (string, error) {
	sum := hash(handle)
	i := slices.IndexFunc(at.Access, func(o sealedAccess) bool { return same(o.Hash, sum) })
	if i < 0 {
		return "", refresh.ErrNotFound
	}
	token, err := at.open(handle, at.Access[i].Sealed)
	return string(token), err
}

// context is the associated data of what is sealed: it belongs to one login of
// one subject.
func (l *login) context(name string) []byte {
	return []byte(name + "\x00" + l.Issuer + "\x00" + l.Subject)
}

func (l *login) seal(name, under string, plain []byte) ([]byte, error) {
	return seal.Seal([]byte(under), sealLabel, plain, l.context(name))
}

func (at *stored) open(under string, sealed []byte) ([]byte, error) {
	plain, err := seal.Open([]byte(under), sealLabel, sealed, at.context(at.name))
	if err != nil {
		return nil, errUnreadable
	}
	return plain, nil
}

const sealLabel = "tokenlife sessions seal"

// successorKey returns what the successor of h is sealed under. It is another
// secret than that of the tokens under h.
func successorKey(h handle) string { return "successor " + string(h) }

func hash(handle string) []byte { return derive(handle, "hash") }

func same(a, b []byte) bool { return len(a) > 0 && subtle.ConstantTimeCompare(a, b) == 1 }
