package revocation

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
)

// A record is what the Store holds of a login, a subject, or a token of no
// login. Records only grow: of two, the union is true.
type record struct {
	Before int64            `json:"before,omitempty"` // logins with tokens issued earlier are over; Unix nanoseconds
	Stale  int64            `json:"stale,omitempty"`  // tokens issued earlier are revoked, and that is all; likewise
	Tokens map[string]int64 `json:"tokens,omitempty"` // these are, until Unix seconds
	Spared map[string]int64 `json:"spared,omitempty"` // these were issued then, whatever their iat; Unix nanoseconds
}

var errUnreadable = errors.New("the store holds something else")

// maxTokens is how many tokens of one login are revoked one by one. A login has
// that many at a time only if somebody makes it so.
const maxTokens = 64

// plus returns what r and s say together, without what is over.
func (r record) plus(s record, now time.Time) record {
	sum := record{Before: max(r.Before, s.Before), Stale: max(r.Stale, s.Stale)}
	sum.Tokens = union(r.Tokens, s.Tokens, now.Unix()+1)
	// Those from before the cut-off are revoked with all others.
	sum.Spared = union(r.Spared, s.Spared, cmp.Or(sum.Before, sum.Stale))
	if len(sum.Tokens) > maxTokens {
		sum = record{Before: max(sum.Before, now.UnixNano())}
	}
	for len(sum.Spared) > maxTokens { // the oldest give way; those of s have come just now
		oldest := slices.MinFunc(slices.Collect(maps.Keys(sum.Spared)), func(a, b string) int {
			return cmp.Or(cmp.Compare(sum.Spared[a], sum.Spared[b]), cmp.Compare(s.Spared[a], s.Spared[b]), cmp.Compare(a, b))
		})
		delete(sum.Spared, oldest)
	}
	return sum
}

// union returns what is in a or b with a time that is no less than least, and the
// later one of two; nil for nothing.
func union(a, b map[string]int64, least int64) map[string]int64 {
	if len(a)+len(b) == 0 {
		return nil
	}
	sum := make(map[string]int64, len(a)+len(b))
	maps.Copy(sum, a)
	for id, at := range b {
		sum[id] = max(sum[id], at)
	}
	maps.DeleteFunc(sum, func(_ string, at int64) bool { return at < least })
	return sum
}

// judge tells what r says of a token.
func (r *record) judge(t *verify.Token) error {
	older := func(than int64) bool {
		return than != 0 && (t.IssuedAt.IsZero() || t.IssuedAt.UnixNano() < than) && r.spared(t) < than
	}
	switch {
	case older(r.Before):
		return ErrLogin
	case older(r.Stale):
		return ErrToken
	}
	if len(r.Tokens) > 0 {
		if _, ok := r.Tokens[tokenID(t)]; ok {
			return ErrToken
		}
	}
	return nil
}

// spared returns when t was issued, in Unix nanoseconds, where that is known to be
// later than its iat says; else 0.
func (r *record) spared(t *verify.Token) int64 {
	if len(r.Spared) == 0 {
		return 0
	}
	return r.Spared[tokenID(t)]
}

func (r record) encode() []byte {
	data, _ := json.Marshal(r) // numbers and strings: it cannot fail
	return data
}

func decode(data []byte) (record, error) {
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		return record{}, errUnreadable
	}
	return r, nil
}

// tokenID names a token of an issuer. Two tokens that differ in the signature
// alone are the same one: some algorithms have several signatures that are good.
func tokenID(t *verify.Token) string {
	if t.ID != "" {
		return hash("jti", t.Issuer, t.ID)
	}
	signed := t.Raw
	if i := strings.LastIndexByte(signed, '.'); i > 0 {
		signed = signed[:i]
	}
	return hash("raw", t.Issuer, signed)
}

// homeOf is the key of the record that has the token: its login's, or one of
// its own.
func homeOf(t *verify.Token) string {
	if t.Session != "" {
		return keyFor("login", t.Issuer, t.Session)
	}
	return refresh.StoreKey("revoked.token", tokenID(t))
}

func keyFor(kind, issuer, name string) string {
	return refresh.StoreKey("revoked."+kind, issuer, name)
}

// hash keeps names out of a Store's keys. An issuer is a URL, which has no zero
// byte in it.
func hash(kind, issuer, name string) string {
	sum := sha256.Sum256([]byte(kind + "\x00" + issuer + "\x00" + name))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// addTimeout is how long an addition waits for the Store.
const addTimeout = 3 * time.Second

// add adds r to what the Store holds under key, and to what is known here.
func (l *List) add(ctx context.Context, key string, r record, ttl time.Duration) error {
	c := l.cell(key)
	c.learn(r) // whatever becomes of the rest
	ctx, cancel := context.WithTimeout(ctx, addTimeout)
	defer cancel()
	var sum record
	err := refresh.Update(ctx, l.store, key, func(old []byte) ([]byte, time.Duration, error) {
		held, _ := decode(old) // a value that cannot be read is of no use, and is replaced
		sum = held.plus(r, time.Now())
		return sum.encode(), ttl, nil
	})
	if err != nil {
		return fmt.Errorf("middleware: revocations: %w", err)
	}
	c.learn(sum)
	return nil
}
