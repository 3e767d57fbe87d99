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

// A record is the value in the Store for a login, a subject, or a token without
// a session. Entries are only added to it, so the union of two versions is
// valid.
type record struct {
	Before int64            `json:"before,omitempty"` // logins with tokens issued before are revoked; Unix nanoseconds
	Stale  int64            `json:"stale,omitempty"`  // tokens issued before are revoked, and not their logins; Unix nanoseconds
	Tokens map[string]int64 `json:"tokens,omitempty"` // revoked tokens, and until when they are kept; Unix seconds
	Exempt map[string]int64 `json:"exempt,omitempty"` // tokens, and when they were issued whatever their iat; Unix nanoseconds
}

var errUnreadable = errors.New("the store holds something else")

// maxTokens is how many tokens of one login may be revoked at a time. More
// tokens end the login: it has that many only if somebody makes it so.
const maxTokens = 64

// plus returns the union of r and s, without what has expired.
func (r record) plus(s record, now time.Time) record {
	sum := record{Before: max(r.Before, s.Before), Stale: max(r.Stale, s.Stale)}
	sum.Tokens = union(r.Tokens, s.Tokens, now.Unix()+1)
	// An exemption from before a cut-off does not apply to it.
	sum.Exempt = union(r.Exempt, s.Exempt, cmp.Or(sum.Before, sum.Stale))
	if len(sum.Tokens) > maxTokens {
		sum = record{Before: max(sum.Before, now.UnixNano())}
	}
	for len(sum.Exempt) > maxTokens { // the oldest go; those of s are new
		oldest := slices.MinFunc(slices.Collect(maps.Keys(sum.Exempt)), func(a, b string) int {
			return cmp.Or(cmp.Compare(sum.Exempt[a], sum.Exempt[b]), cmp.Compare(s.Exempt[a], s.Exempt[b]), cmp.Compare(a, b))
		})
		delete(sum.Exempt, oldest)
	}
	return sum
}

// union returns the entries of a and b whose times are at least least. If both
// have an entry, the later time counts. The result is nil if both are empty.
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

// judge returns an error if r revokes t.
func (r *record) judge(t *verify.Token) error {
	older := func(than int64) bool {
		return than != 0 && (t.IssuedAt.IsZero() || t.IssuedAt.UnixNano() < than) && r.exemptSince(t) < than
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

// exemptSince returns when t was issued, in Unix nanoseconds, if it is known to
// be later than its iat. Otherwise it returns 0.
func (r *record) exemptSince(t *verify.Token) int64 {
	if len(r.Exempt) == 0 {
		return 0
	}
	return r.Exempt[tokenID(t)]
}

// exempt returns the record that exempts t. An opaque token is found by itself
// as well, when its provider tells nothing of it any more.
func exempt(t *verify.Token, at int64) record {
	r := record{Exempt: map[string]int64{tokenID(t): at}}
	if IsOpaque(t.Raw) {
		r.Exempt[rawID(t)] = at
	}
	return r
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

// tokenID returns the name of a token in a record.
func tokenID(t *verify.Token) string {
	if t.ID != "" {
		return hash("jti", t.Issuer, t.ID)
	}
	return rawID(t)
}

// rawID returns the name of a token that has no jti. The signature of a JWT is
// not part of it, as some algorithms allow several signatures of one token.
func rawID(t *verify.Token) string {
	signed := t.Raw
	if !IsOpaque(signed) {
		signed = signed[:strings.LastIndexByte(signed, '.')]
	}
	return hash("raw", t.Issuer, signed)
}

// minPayload is less than the length of the shortest payload of a JWT.
const minPayload = 16

// IsOpaque reports whether raw is no signed JWT, which has three parts. Some
// opaque tokens have dots as well, but nothing of a payload's length between
// them: Google's begin with ya29 and a dot.
func IsOpaque(raw string) bool {
	parts := strings.SplitN(raw, ".", 4)
	return len(parts) != 3 || len(parts[1]) < minPayload
}

// ownKey returns the key of the record for t: that of its login, or its own if
// it has no session.
func ownKey(t *verify.Token) string {
	if t.Session != "" {
		return storeKey("login", t.Issuer, t.Session)
	}
	return refresh.StoreKey("revoked.token", tokenID(t))
}

// storeKey returns the key of the record for a login or a subject.
func storeKey(kind, issuer, name string) string {
	return refresh.StoreKey("revoked."+kind, issuer, name)
}

// hash returns a hash of the name of a token. An issuer is a URL, which has no
// zero byte in it.
func hash(kind, issuer, name string) string {
	sum := sha256.Sum256([]byte(kind + "\x00" + issuer + "\x00" + name))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// addTimeout bounds how long add waits for the Store.
const addTimeout = 3 * time.Second

// add adds r to the record under key, in the Store and in the cache.
func (l *List) add(ctx context.Context, key string, r record, ttl time.Duration) error {
	c := l.cached(key)
	c.learn(r) // here it counts even if the Store fails
	ctx, cancel := context.WithTimeout(ctx, addTimeout)
	defer cancel()
	var sum record
	err := refresh.Update(ctx, l.store, key, func(old []byte) ([]byte, time.Duration, error) {
		held, _ := decode(old) // an unreadable value is replaced
		sum = held.plus(r, time.Now())
		return sum.encode(), ttl, nil
	})
	if err != nil {
		return fmt.Errorf("middleware: revocations: %w", err)
	}
	c.learn(sum)
	return nil
}
