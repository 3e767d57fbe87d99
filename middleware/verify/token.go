package verify

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// A Token is a verified access token (or ID token). Its fields are the claims
// that handlers most often need; [Token.Claims] reads the others. Tokens share
// their slices with other tokens: do not modify them. A Token prints its expiry
// and nothing else.
type Token struct {
	Raw      string    `json:"-"` // the token as it was presented
	Issuer   string    // iss: the URL of the configured [Issuer]
	Subject  string    // sub; empty only in a logout token that has a sid
	ID       string    // jti, a number as it is written; empty if the token has none
	ClientID string    // client_id, or else azp; empty if the token has neither
	Audience []string  // aud; empty if the token has none
	Scopes   []string  // scope (RFC 8693 section 4.2) or scp, a string or an array; may be empty
	Groups   []string  // the claim that [Issuer.GroupsClaim] names; may be empty
	Session  string    // sid, or else origin_jti: the provider's name for the login; may be empty
	Expiry   time.Time // exp; a token is accepted until [Issuer.Leeway] after it; see [Issuer.Types] for one without
	IssuedAt time.Time // iat; zero if the token has none

	answer []byte // the claims of a token that is no JWT
}

// HasScope reports whether the token carries scope.
func (t *Token) HasScope(scope string) bool { return slices.Contains(t.Scopes, scope) }

// HasGroup reports whether the token's subject is a member of group.
func (t *Token) HasGroup(group string) bool { return slices.Contains(t.Groups, group) }

// Claims decodes the claims of a token that [JWT.Verify] has returned into v, a
// pointer to a struct or a map, as [json.Unmarshal] does. Those of a token of an
// [Introspection] or a [UserInfo] are what the provider has answered. For a
// token that has not been verified use [UnverifiedClaims]. Claims can be called
// from several goroutines at once.
func (t *Token) Claims(v any) error {
	if t.answer != nil {
		return decodeClaims(t.answer, v)
	}
	_, rest, _ := strings.Cut(t.Raw, ".")
	segment, _, ok := strings.Cut(rest, ".")
	if !ok {
		return errors.New("verify: claims: no token")
	}
	payload, err := base64.RawURLEncoding.Strict().DecodeString(segment)
	if err != nil {
		return errors.New("verify: claims: not base64url")
	}
	return decodeClaims(payload, v)
}

func decodeClaims(payload []byte, v any) error {
	if err := json.Unmarshal(payload, v); err != nil {
		return fmt.Errorf("verify: claims: %w", err)
	}
	return nil
}

// String returns the token's expiry, and no secret.
func (t Token) String() string {
	return "verify.Token{expiry " + t.Expiry.UTC().Format(time.RFC3339) + "}"
}

// Format prints the same for every verb, to keep the token out of logs.
func (t Token) Format(s fmt.State, _ rune) { io.WriteString(s, t.String()) }
