package sessions

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/tokenlife/tokenlife/refresh"
)

// The forms of what clients hold. The lengths are exact, so that nothing of a
// caller's choice becomes a key of the Store, and there is no dot in them, so
// that no handle looks like a JWT.
const (
	idSize     = 26 // base32, 130 random bits: names the login and never changes
	secretSize = 43 // base64url, 256 bits
	nameSize   = 22 // base64url, 128 bits of a hash of the ID

	handleSize = idSize + secretSize
	accessSize = nameSize + secretSize
)

// A handle is what a client holds in place of a refresh token: the login's ID
// and a secret, which each refresh replaces.
type handle string

// newHandle returns a handle that nobody has seen, of the login with this ID.
func newHandle(id string) handle {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // it never returns an error
	return handle(id + encode(secret[:]))
}

func parseHandle(s string) (handle, bool) {
	if len(s) != handleSize || strings.Trim(s[:idSize], "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" || !canonical(s[idSize:]) {
		return "", false
	}
	return handle(s), true
}

func (h handle) id() string { return string(h[:idSize]) }

// name returns what the login is called in the Store and in lists. It does not
// tell the ID, so that who knows it cannot so much as guess at a secret.
func (h handle) name() string {
	sum := sha256.Sum256([]byte("tokenlife login\x00" + h.id()))
	return encode(sum[:])[:nameSize]
}

// access returns what the client holds in place of the access token. Neither
// handle follows from it.
func (h handle) access() string { return h.name() + encode(derive(string(h), "access")) }

// parseAccess returns the name of the login that an access handle is of.
func parseAccess(s string) (name string, ok bool) {
	if len(s) != accessSize || !canonical(s[nameSize:]) || !alphabet(s[:nameSize]) {
		return "", false
	}
	return s[:nameSize], true
}

// ID returns the [Login.ID] of the login whose handles t holds, and "" if they
// are none. It does not look whether there is such a login.
func ID(t refresh.Tokens) string {
	if h, ok := parseHandle(t.Refresh); ok {
		return h.name()
	}
	name, _ := parseAccess(t.Access)
	return name
}

// derive returns 32 bytes that follow from a handle for one use (RFC 5869), and
// from which nothing follows for another.
func derive(from, use string) []byte {
	key, err := hkdf.Key(sha256.New, []byte(from), nil, "tokenlife sessions "+use, 32)
	if err != nil {
		panic(err) // more bytes were asked for than there can be
	}
	return key
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// canonical reports whether a secret is written as it would be here, so that one
// secret is one string: of the last character's six bits two are to spare.
func canonical(secret string) bool {
	return alphabet(secret) && strings.IndexByte("AEIMQUYcgkosw048", secret[len(secret)-1]) >= 0
}

func alphabet(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}
