// Package seal encrypts small values under keys that are derived from secrets.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
)

// ErrOpen says that a value was not sealed under this secret and label with these
// associated data, or has been changed since. It tells nothing of the value.
var ErrOpen = errors.New("seal: a value that does not open")

// Seal encrypts plain by AES-256-GCM with a random nonce, under a key that HKDF
// with SHA-256 (RFC 5869) derives from secret and label. The secret must be hard to
// guess by itself: a token, a handle, or random bytes. The label names the use, so
// that no key has two. What is sealed opens only with the same associated data;
// they are not part of it. One secret and label should seal no more than four
// thousand million values.
func Seal(secret []byte, label string, plain, associated []byte) ([]byte, error) {
	aead, err := derived(secret, label)
	if err != nil {
		return nil, err
	}
	return aead.Seal(nil, nil, plain, associated), nil
}

// Open returns what [Seal] has encrypted. Its error wraps ErrOpen where the value
// is at fault.
func Open(secret []byte, label string, sealed, associated []byte) ([]byte, error) {
	aead, err := derived(secret, label)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, nil, sealed, associated)
	if err != nil {
		return nil, ErrOpen
	}
	return plain, nil
}

func derived(secret []byte, label string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, secret, nil, label, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
