package refresh

import (
	"bytes"
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
//	bytes 17-24   when the provider refused it; 0: it has not
//	the rest      tokens, or why a login has ended
type record []byte

// The kinds of records. The letters are what the Store holds.
const (
	presented = 'p' // a client has the refresh token; nothing else is known
	exchanged = 'r' // its successor is in the record
	issued    = 'i' // its own tokens are in the record; in the ledger of this process only
	ended     = 'e' // its login was ended here

	refused = 'd' // not stored: what any record but an end is for a moment after a refusal
	claimed = 'c' // no record, but the claim beside it: see claim.go
)

const (
	presentedByte = 9
	refusedByte   = 17
	recordHeader  = 25
)

// kind returns what r is, or 0 for no record and for one that makes no sense.
func (r record) kind() byte {
	switch {
	case len(r) < recordHeader:
		return 0
	case r[0] != ended && time.Since(r.time(refusedByte)) < refusalLife:
		return refused
	}
	return r[0]
}

// at returns when r was written, by the clock of its writer.
func (r record) at() time.Time { return r.time(1) }

// time returns the time in r that begins with byte i, if there is one.
func (r record) time(i int) time.Time {
	if len(r) < recordHeader || binary.BigEndian.Uint64(r[i:]) == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(binary.BigEndian.Uint64(r[i:])))
}

// mark returns r with at, if it is not zero, as the time that begins with byte i.
// Where there is no record, it makes one.
func (r record) mark(i int, at time.Time) record {
	if r.kind() == 0 {
		r = newRecord(presented, time.Now())
	}
	if r = bytes.Clone(r); !at.IsZero() {
		binary.BigEndian.PutUint64(r[i:], uint64(at.UnixMilli()))
	}
	return r
}

// presentedAt returns when a client first presented the refresh token of r, or
// the zero time if that is not known.
func (r record) presentedAt() time.Time { return r.time(presentedByte) }

// newRecord returns a record that is written at a time.
func newRecord(kind byte, at time.Time, rest ...byte) record {
	r := append(make(record, recordHeader, recordHeader+len(rest)), rest...)
	r[0] = kind
	return r.mark(1, at)
}

// newEnd returns the record of a login that has ended: why is errSignedOut or
// errReplaced.
func newEnd(why error) record {
	if errors.Is(why, errReplaced) {
		return newRecord(ended, time.Now(), 'r')
	}
	return newRecord(ended, time.Now())
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
