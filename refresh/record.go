package refresh

import (
	"encoding/binary"
	"errors"
	"time"
)

// A record is what a [ledger] holds of one refresh token. It is stored under a
// hash of that token. Tokens in a Store are sealed with a key that only the
// token gives: a reader of the Store learns no token, and there is no key to
// manage.
//
//	byte 0        its kind
//	bytes 1-8     when it was written, in Unix milliseconds
//	bytes 9-16    when a client first presented the refresh token; 0: not known
//	the rest      tokens, or why a login has ended
type record []byte

// The kinds of records. The letters are what the Store holds.
const (
	presented = 'p' // a client has the refresh token; nothing else is known
	exchanged = 'r' // its successor is in the record
	issued    = 'i' // its own tokens are in the record; in the ledger of this process only
	refused   = 'd' // the provider has refused it
	ended     = 'e' // its login was ended here

	claimed = 'c' // no record, but the claim beside it: see claim.go
)

const recordHeader = 17

// kind returns what r is, or 0 for no record and for one that makes no sense. A
// refusal is one for a moment.
func (r record) kind() byte {
	switch {
	case len(r) < recordHeader:
		return 0
	case r[0] == refused && time.Since(r.at()) >= refusalLife:
		return presented
	}
	return r[0]
}

// at returns when r was written, by the clock of its writer.
func (r record) at() time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64(r[1:9])))
}

// presentedAt returns when a client first presented the refresh token of r, or
// the zero time if that is not known.
func (r record) presentedAt() time.Time {
	if r.kind() == 0 {
		return time.Time{}
	}
	ms := binary.BigEndian.Uint64(r[9:recordHeader])
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms))
}

// newRecord returns a record that is written now.
func newRecord(kind byte, presentedAt time.Time, rest ...byte) record {
	return newRecordAt(time.Now(), kind, presentedAt, rest...)
}

func newRecordAt(at time.Time, kind byte, presentedAt time.Time, rest ...byte) record {
	r := make(record, 0, recordHeader+len(rest))
	r = binary.BigEndian.AppendUint64(append(r, kind), uint64(at.UnixMilli()))
	var ms uint64
	if !presentedAt.IsZero() {
		ms = uint64(presentedAt.UnixMilli())
	}
	return append(binary.BigEndian.AppendUint64(r, ms), rest...)
}

// newEnd returns the record of a login that has ended: why is errSignedOut or
// errReplaced.
func newEnd(why error) record {
	if errors.Is(why, errReplaced) {
		return newRecord(ended, time.Time{}, 'r')
	}
	return newRecord(ended, time.Time{})
}

// reason returns why the login of r has ended.
func (r record) reason() error {
	if len(r) > recordHeader && r[recordHeader] == 'r' {
		return errReplaced
	}
	return errSignedOut
}

// tokens returns the tokens in r as [ledger.newResult] has written them, or
// nil.
func (r record) tokens() []byte {
	if r.kind() == exchanged || r.kind() == issued {
		return r[recordHeader:]
	}
	return nil
}

// recordKey returns the key of the record of a refresh token.
func recordKey(refreshToken string) string { return StoreKey("refresh", refreshToken) }
