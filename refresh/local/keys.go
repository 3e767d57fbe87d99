package local

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"time"
)

const (
	// maxAge is how long other services may cache the key set.
	maxAge = 5 * time.Minute

	// publishAhead is how long a key is in the key set before it signs. It is
	// longer than maxAge, because replicas learn of the key later, and because
	// some services cache longer, such as those with a verify.JWT.
	publishAhead = 15 * time.Minute
)

// JWKS returns the issuer's public keys as a JWKS document (RFC 7517, section
// 5). It can be the Keys of a verify.Issuer.
func (i *Issuer) JWKS(ctx context.Context) ([]byte, error) {
	if err := i.init(); err != nil {
		return nil, err
	}
	keys, err := i.keySet(ctx)
	if err != nil {
		return nil, wrap(err)
	}
	return bytes.Clone(keys.jwks), nil
}

// Keys returns a handler that serves [Issuer.JWKS] to other services. They may
// cache it for five minutes. It answers 500 if the keys cannot be read.
func (i *Issuer) Keys() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "This is a document to read.", http.StatusMethodNotAllowed)
			return
		}
		jwks, err := i.JWKS(r.Context())
		if err != nil {
			w.Header().Set("Cache-Control", "no-store")
			http.Error(w, "The keys are not at hand.", http.StatusInternalServerError)
			return
		}
		sum := sha256.Sum256(jwks)
		w.Header().Set("Content-Type", "application/jwk-set+json")
		w.Header().Set("Cache-Control", "public, max-age="+strconv.Itoa(int(maxAge.Seconds())))
		w.Header().Set("Etag", `"`+hex.EncodeToString(sum[:16])+`"`)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(jwks))
	})
}
