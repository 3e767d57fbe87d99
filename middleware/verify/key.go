package verify

import (
	"crypto"
	"sync/atomic"

	"github.com/MicahParks/jwkset"
)

// maxTries bounds how many signatures are checked for one token: with each key
// of the ID that it names, or where it names none, with each key of the set. A
// set with more keys of one ID and algorithm than this is no good for them all.
const maxTries = 4

// A key is a public key of an issuer. While the issuer publishes the key, every
// snapshot has the same *key. Cached tokens that were verified with it are good
// until live becomes false.
type key struct {
	jwkset.JWKMarshal
	public crypto.PublicKey
	alg    *algorithm // the only one that it is for; nil: each of its type
	set    *keySet
	live   atomic.Bool
}

func newKey(m jwkset.JWKMarshal, public crypto.PublicKey) *key {
	k := &key{JWKMarshal: m, public: public, alg: algorithms[string(m.ALG)]}
	k.live.Store(true)
	return k
}

// fits reports whether the key may verify signatures of alg.
func (k *key) fits(alg *algorithm) bool {
	return string(k.KTY) == alg.kty && string(k.CRV) == alg.crv && (k.alg == nil || k.alg == alg)
}

// same reports whether the two are one public key for the same algorithm.
func (k *key) same(other *key) bool {
	public, ok := k.public.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.KID == other.KID && k.alg == other.alg && public.Equal(other.public)
}

// signedBy returns the key of these with which signature is one over signed.
// Those that do not fit the header's algorithm are not tried.
func (h *header) signedBy(keys []*key, signed string, signature []byte) (*key, error) {
	tries := 0
	for _, k := range keys {
		if !k.fits(h.alg) {
			continue
		}
		if tries++; tries > maxTries {
			return nil, refusal("wrong signature, with the first 4 keys that fit")
		}
		if h.alg.method.Verify(signed, signature, k.public) == nil {
			return k, nil
		}
	}
	return nil, refusal("wrong signature")
}
