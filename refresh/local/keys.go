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

// maxAge is how long others may keep the key set, and publishAhead how long a
// key is in it before it signs. Between them there is time for who keeps the set
// a while longer, as a verify.JWT does, and for replicas to learn of the key.
const (
	maxAge       = 5 * time.Minute
	publishAhead = 15 * time.Minute
)

// JWKS returns the issuer's public keys as a JWKS document (RFC 7517, section
// 5). It is what the Keys of a verify.Issuer asks for.
func (i *Issuer) JWKS(ctx context.Context) ([]byte, error) {
	if err := i.ready(); err != nil {
		return nil, err
	}
	keys, err := i.keySet(ctx)
	if err != nil {
		return nil, wrap(err)
	}
	return bytes.Clone(keys.jwks), nil
}

// Keys serves [Issuer.JWKS] to other services, which may keep it for five
// minutes. It answers 500 where the keys are not at hand.
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
