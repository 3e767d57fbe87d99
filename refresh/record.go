package refresh

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"time"

	"github.com/tokenlife/tokenlife/refresh/internal/seal"
)

// A record is what replicas tell each other, through a Store, of one refresh
// token. It stands under a hash of that token, and a result in it is sealed with
// a key that only the token gives: who reads the store has no token, and nobody
// has a key to look after.
//
// One byte says what it is, eight say when it was written (Unix milliseconds),
// and the rest is the owner of a claim or a sealed result.
type record []byte

// What a record can be. The letters are what the store holds: they stay.
const (
	claimed  = 'c' // a replica is at the provider with it
	replaced = 'r' // it has been exchanged
	refused  = 'd' // the provider has refused it
	ended    = 'e' // its user has signed out
)

const (
	recordHeader = 9
	ownerSize    = 16
)

// kind returns what r is, and 0 for no record or one that makes no sense.
func (r record) kind() byte {
	if len(r) < recordHeader {
		return 0
	}
	return r[0]
}

// since returns when r was written, by the clock of who wrote it.
func (r record) since() time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64(r[1:recordHeader])))
}

// unsentTime stands for the time of a record about tokens that no client has
// presented: a renewal went on from them by itself. It is never long ago.
const unsentTime = 253402300799000

// markUnsent makes r such a record, and unsent tells whether it is one.
func (r record) markUnsent()  { binary.BigEndian.PutUint64(r[1:recordHeader], unsentTime) }
func (r record) unsent() bool { return r.kind() != 0 && r.since().UnixMilli() == unsentTime }

func newRecord(kind byte, rest []byte) record {
	r := binary.BigEndian.AppendUint64([]byte{kind}, uint64(time.Now().UnixMilli()))
	return append(r, rest...)
}

// newEnd returns the record of a login that is over, and over why.
func newEnd(why error) record {
	if errors.Is(why, errReplaced) {
		return newRecord(ended, []byte{replaced})
	}
	return newRecord(ended, nil)
}

func (r record) over() error {
	if len(r) > recordHeader && r[recordHeader] == replaced {
		return errReplaced
	}
	return errSignedOut
}

// before returns the result that a claim has taken the place of, or nil.
func (r record) before() record {
	if r.kind() != claimed || len(r) <= recordHeader+ownerSize {
		return nil
	}
	return newRecord(replaced, r[recordHeader+ownerSize:])
}

// newResult seals the tokens that a refresh token has been exchanged for.
func newResult(refreshToken string, next Tokens) (record, error) {
	plain, err := json.Marshal(next)
	if err != nil {
		return nil, err
	}
	sealed, err := seal.Seal([]byte(refreshToken), resultLabel, plain, nil)
	if err != nil {
		return nil, err
	}
	return newRecord(replaced, sealed), nil
}

// resultLabel is what sets the key of a result apart: it seals the one result of a
// refresh token, or a few of them where the provider does not rotate.
const resultLabel = "tokenlife refresh result"

var errUnreadable = errors.New("refresh: a record in the store that cannot be read")

// open returns the tokens that r holds for a refresh token.
func (r record) open(refreshToken string) (next Tokens, err error) {
	plain, err := seal.Open([]byte(refreshToken), resultLabel, r[recordHeader:], nil)
	if err != nil || json.Unmarshal(plain, &next) != nil || next.Access == "" || next.Refresh == "" {
		return Tokens{}, errUnreadable
	}
	return next, nil
}

// storeKey names a token in a store without telling it. What is a word for what
// stands there.
func storeKey(what, token string) string { return StoreKey(what, token) }
