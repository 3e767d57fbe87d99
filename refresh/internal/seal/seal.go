// Package seal encrypts small values under keys that are derived from secrets.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
)

// ErrOpen is the error of a value that was sealed under another secret or label
// or with other associated data, or that has been changed since.
var ErrOpen = errors.New("seal: a value that does not open")

// Seal encrypts plain by AES-256-GCM with a random nonce, under a key that HKDF
// with SHA-256 (RFC 5869) derives from secret and label. The secret must be
// hard to guess, such as a token, a handle, or random bytes. The label names
// the use of the key, so that no key has two uses. The result opens only with
// the same associated data, which are not in it. Seal at most 2^32 values under
// one secret and label.
func Seal(secret []byte, label string, plain, associated []byte) ([]byte, error) {
	aead, err := derived(secret, label)
	if err != nil {
		return nil, err
	}
	return aead.Seal(nil, nil, plain, associated), nil
}

// Open returns the value that [Seal] has encrypted. Its error wraps ErrOpen if
// sealed cannot be opened with these arguments.
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
