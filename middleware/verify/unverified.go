package verify

import (
	"encoding/json"
	"fmt"
)

// maxUnverified bounds the tokens that UnverifiedClaims reads, in bytes. It is
// more than the cookies of a login can hold.
const maxUnverified = 64 << 10

// UnverifiedClaims decodes the claims of raw, a signed JWT, into v, a pointer
// to a struct or a map, as [json.Unmarshal] does. It verifies nothing: not the
// signature, the issuer, the audience or the times. Anybody can write such a
// token, so nothing may be granted on its claims unless the token comes from a
// trusted place, such as the provider's own answer over TLS.
//
// It refuses what [JWT.Verify] refuses for its form: a token that is not three
// segments, or whose payload is not base64url without padding, is no plain JSON
// object, has a name twice, or has a registered claim in another case. Tokens
// of more than 64 KiB are refused unread. Such an error wraps [ErrInvalid]; any
// other says that the claims do not fit v. Claims of unexpected types are not
// refused unless v wants another, and the header and the signature are not
// decoded.
func UnverifiedClaims(raw string, v any) error {
	if len(raw) > maxUnverified {
		return refusal("too long")
	}
	p, ok := split(raw)
	if !ok {
		return refusal("not three parts")
	}
	b := buffers.Get().(*buffer)
	defer buffers.Put(b)
	if b.payload, ok = decodeSegment(b.payload, p.payload); !ok {
		return refusal("payload is not base64url")
	}
	cased := false
	ok = members(b.payload, func(name, _ []byte) bool {
		cased = isCasedClaim(name)
		return !cased
	})
	switch {
	case cased:
		return refusal("a registered claim in another case")
	case !ok:
		return refusal("payload is not a plain JSON object")
	}
	if err := json.Unmarshal(b.payload, v); err != nil {
		return fmt.Errorf("verify: claims: %w", err)
	}
	return nil
}
