package refresh

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Tokens are the tokens of one login.
//
// They hold secrets: a Tokens prints as its times alone, whatever the verb.
type Tokens struct {
	Access  string // access token, usually a JWT
	Refresh string // refresh token; empty where the login cannot be refreshed
	ID      string // OpenID Connect ID token; may be empty

	// Expiry is when the access token ends, as far as is known. An access token
	// that is a JWT says so itself, and what it says is believed before this.
	Expiry time.Time

	// RefreshExpiry is when the refresh token ends; zero where the provider
	// does not tell.
	RefreshExpiry time.Time
}

// Format keeps the tokens out of logs.
func (t Tokens) Format(w fmt.State, _ rune) {
	fmt.Fprintf(w, "refresh.Tokens{expiry %s}", t.Expiry.UTC().Format(time.RFC3339))
}

// supersedes reports whether t, the newest tokens of a login, should be given
// to a caller that presented old. A caller that presented an access token gets
// t unless it already has it. One that presented none gets no access token that
// is known to have expired.
func (t Tokens) supersedes(old Tokens) bool {
	return t.Access != old.Access && (old.Access != "" || t.Expiry.IsZero() || time.Now().Before(t.Expiry))
}

// encode returns t as bytes: its fields, each behind its length.
func encode(t Tokens) ([]byte, error) {
	b := make([]byte, 0, 64+len(t.Access)+len(t.Refresh)+len(t.ID))
	for _, field := range []string{t.Access, t.Refresh, t.ID} {
		b = append(binary.AppendUvarint(b, uint64(len(field))), field...)
	}
	for _, at := range []time.Time{t.Expiry, t.RefreshExpiry} {
		field, err := at.MarshalBinary()
		if err != nil {
			return nil, err
		}
		b = append(binary.AppendUvarint(b, uint64(len(field))), field...)
	}
	return b, nil
}

// decode returns the tokens that encode has written, if they are complete.
func decode(b []byte) (t Tokens, err error) {
	var fields [5][]byte
	for i := range fields {
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return t, errUnreadable
		}
		fields[i], b = b[n:n+int(size)], b[n+int(size):]
	}
	t.Access, t.Refresh, t.ID = string(fields[0]), string(fields[1]), string(fields[2])
	err = errors.Join(t.Expiry.UnmarshalBinary(fields[3]), t.RefreshExpiry.UnmarshalBinary(fields[4]))
	if t.Access == "" || t.Refresh == "" {
		err = errUnreadable
	}
	return t, err
}
