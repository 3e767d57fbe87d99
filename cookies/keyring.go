package cookies

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
)

const (
	keySize = 32
	maxKeys = 8

	// sealVersion is the first character of every sealed value. It changes with
	// the format.
	sealVersion = "1"

	// maxSealed is the longest text that Open accepts, in characters.
	maxSealed = 64 << 10
)

// A KeyRing seals small values, so that a client can hold them and neither read
// nor change them. It uses AES-256-GCM with a nonce that is a keyed hash of the
// name and the value (as in RFC 5297). Equal values are therefore sealed alike,
// so that concurrent responses to a browser set the same cookie.
//
// The first key seals and all keys open. To replace a key, put the new one
// before it, and remove the old one when no value that it sealed is needed any
// more. One key should seal no more than four thousand million values.
//
// A KeyRing does not change and may be used from several goroutines at once.
// It prints as the number of its keys.
type KeyRing struct {
	keys []sealingKey
}

// A sealingKey holds the keys that are derived from one key of the ring, one
// for each purpose.
type sealingKey struct {
	aead  cipher.AEAD
	nonce []byte // the key of the hash from which nonces are taken
}

func newSealingKey(key []byte) (k sealingKey, err error) {
	seal, err := hkdf.Key(sha256.New, key, nil, "tokenlife cookies: seal", keySize)
	if err != nil {
		return k, err
	}
	if k.nonce, err = hkdf.Key(sha256.New, key, nil, "tokenlife cookies: nonce", keySize); err != nil {
		return k, err
	}
	block, err := aes.NewCipher(seal)
	if err != nil {
		return k, err
	}
	k.aead, err = cipher.NewGCM(block)
	return k, err
}

// nonceFor returns the nonce for a value under a name. The length of the name
// is hashed before it, so that no other name and value give the same bytes.
func (k sealingKey) nonceFor(name string, plain []byte) []byte {
	h := hmac.New(sha256.New, k.nonce)
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(name))))
	h.Write([]byte(name))
	h.Write(plain)
	return h.Sum(nil)[:k.aead.NonceSize()]
}

// NewKeyRing returns a KeyRing of one to eight keys, the newest first. A key
// has exactly 32 bytes, from a cryptographic random number generator and not
// from a pass phrase. The slices are not retained.
func NewKeyRing(keys ...[]byte) (*KeyRing, error) {
	if len(keys) == 0 {
		return nil, errors.New("cookies: NewKeyRing: no key")
	}
	if len(keys) > maxKeys {
		return nil, fmt.Errorf("cookies: NewKeyRing: %d keys, more than %d", len(keys), maxKeys)
	}
	ring := new(KeyRing)
	for i, key := range keys {
		if len(key) != keySize {
			return nil, fmt.Errorf("cookies: NewKeyRing: key %d has %d bytes, not %d", i+1, len(key), keySize)
		}
		if string(key) == string(make([]byte, keySize)) {
			return nil, fmt.Errorf("cookies: NewKeyRing: key %d is all zeros", i+1)
		}
		if j := slices.IndexFunc(keys[:i], func(k []byte) bool { return string(k) == string(key) }); j >= 0 {
			return nil, fmt.Errorf("cookies: NewKeyRing: key %d repeats key %d", i+1, j+1)
		}
		k, err := newSealingKey(key)
		if err != nil {
			return nil, fmt.Errorf("cookies: NewKeyRing: key %d: %w", i+1, err)
		}
		ring.keys = append(ring.keys, k)
	}
	return ring, nil
}

// Seal encrypts plain, which may have up to 48,000 bytes, and returns text of
// the base64url alphabet that is good in cookies and URLs. It opens only under
// the same name. Seal panics on a KeyRing that [NewKeyRing] did not make.
func (k *KeyRing) Seal(name string, plain []byte) string {
	newest := k.keys[0]
	nonce := newest.nonceFor(name, plain)
	box := newest.aead.Seal(nonce, nonce, plain, additional(name)) // after the nonce
	return sealVersion + base64.RawURLEncoding.EncodeToString(box)
}

// Open returns the value that one of the keys has sealed under name. Its error
// neither says what is wrong nor holds any part of the value.
func (k *KeyRing) Open(name, sealed string) ([]byte, error) {
	text, ok := strings.CutPrefix(sealed, sealVersion)
	// The decoder skips line breaks and, unless strict, ignores stray bits at
	// the end. With either, one value would have many texts.
	if !ok || len(text) > maxSealed || strings.ContainsAny(text, "\r\n") {
		return nil, errNotOpened
	}
	box, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, errNotOpened
	}
	for _, key := range k.keys {
		size := key.aead.NonceSize()
		if len(box) < size {
			break
		}
		if plain, err := key.aead.Open(nil, box[:size], box[size:], additional(name)); err == nil {
			return plain, nil
		}
	}
	return nil, errNotOpened
}

var errNotOpened = errors.New("cookies: sealed by none of the keys under this name, or changed since")

func additional(name string) []byte { return []byte(sealVersion + name) }

// String returns how many keys there are.
func (k KeyRing) String() string { return fmt.Sprintf("cookies.KeyRing{%d keys}", len(k.keys)) }

// GoString returns how many keys there are.
func (k KeyRing) GoString() string { return k.String() }
