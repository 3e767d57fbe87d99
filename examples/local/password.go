package main

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// What one hash costs: OWASP's least for Argon2id, 19 MiB and two passes.
const (
	memory  = 19 * 1024 // KiB
	passes  = 2
	threads = 1
	keySize = 32

	maxPassword = 256 // bytes
)

// A hasher hashes passwords with Argon2id (RFC 9106). Some at a time, so that a
// flood of logins cannot take all memory: the others wait.
type hasher struct {
	slots chan struct{}
	dummy string // a hash that no password has
}

func newHasher(atOnce int) *hasher {
	var salt, key [keySize]byte
	_, _ = rand.Read(salt[:]) // these never return an error
	_, _ = rand.Read(key[:])
	return &hasher{make(chan struct{}, atOnce), phc(memory, passes, threads, salt[:16], key[:])}
}

// hash returns a password's hash as a string that tells how it was made (the PHC
// format).
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	var salt [16]byte
	_, _ = rand.Read(salt[:])
	key, err := h.key(ctx, password, salt[:], memory, passes, threads, keySize)
	if err != nil {
		return "", err
	}
	return phc(memory, passes, threads, salt[:], key), nil
}

// verify reports whether a hash is that of a password, whatever the costs were
// when it was made.
func (h *hasher) verify(ctx context.Context, hash, password string) (bool, error) {
	m, t, p, salt, want, err := parsePHC(hash)
	if err != nil {
		return false, err
	}
	got, err := h.key(ctx, password, salt, m, t, p, uint32(len(want)))
	return err == nil && subtle.ConstantTimeCompare(got, want) == 1, err
}

func (h *hasher) key(ctx context.Context, password string, salt []byte, m, t uint32, p uint8, size uint32) ([]byte, error) {
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
		return argon2.IDKey([]byte(password), salt, t, m, p, size), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func phc(m, t uint32, p uint8, salt, key []byte) string {
	encode := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, m, t, p, encode(salt), encode(key))
}

var errHash = errors.New("a password's hash in the database that cannot be read")

// parsePHC takes a hash apart. The costs are bounded: they come from the
// database.
func parsePHC(hash string) (m, t uint32, p uint8, salt, key []byte, err error) {
	fail := func() (uint32, uint32, uint8, []byte, []byte, error) { return 0, 0, 0, nil, nil, errHash }
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return fail()
	}
	n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &m, &t, &p)
	if err != nil || n != 3 || m < 8 || m > 256*1024 || t < 1 || t > 16 || p < 1 || p > 16 ||
		parts[3] != fmt.Sprintf("m=%d,t=%d,p=%d", m, t, p) {
		return fail()
	}
	decode := base64.RawStdEncoding.Strict().DecodeString
	salt, saltErr := decode(parts[4])
	key, keyErr := decode(parts[5])
	if saltErr != nil || keyErr != nil || len(salt) < 8 || len(salt) > 64 || len(key) < 16 || len(key) > 64 {
		return fail()
	}
	return m, t, p, salt, key, nil
}
