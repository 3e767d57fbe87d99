package local

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"time"
)

// JWKS returns the issuer's public keys as a JWKS document (RFC 7517, section
// 5). It is what the Keys of a verify.Issuer asks for.
func (i *Issuer) JWKS(context.Context) ([]byte, error) {
	if err := i.ready(); err != nil {
		return nil, err
	}
	return bytes.Clone(i.key.JWKS()), nil
}

// Keys serves [Issuer.JWKS] to other services, which may keep it for a minute.
// It answers 500 where the Issuer is not valid.
func (i *Issuer) Keys() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "This is a document to read.", http.StatusMethodNotAllowed)
			return
		}
		jwks, err := i.JWKS(r.Context())
		if err != nil {
			http.Error(w, "The keys are not at hand.", http.StatusInternalServerError)
			return
		}
		sum := sha256.Sum256(jwks)
		w.Header().Set("Content-Type", "application/jwk-set+json")
		w.Header().Set("Cache-Control", "public, max-age=60")
		w.Header().Set("Etag", `"`+hex.EncodeToString(sum[:16])+`"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(jwks))
	})
}
