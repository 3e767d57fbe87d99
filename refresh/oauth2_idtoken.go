package refresh

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// idClaims are the claims of an ID token that tell whose it is. The signature
// is not checked: the token comes from the token endpoint itself, over TLS
// (OpenID Connect Core 1.0, section 3.1.3.7, point 6).
type idClaims struct {
	issuer, subject        string
	audience               []string
	party, nonce, authTime string // azp, nonce and auth_time in JSON; empty: none
	issuedAt, expiry       time.Time
}

var errUnreadableID = errors.New("has an ID token that cannot be read")

// readID reads the claims of an ID token.
func readID(raw string) (idClaims, error) {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return idClaims{}, errUnreadableID
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	var m members
	if err != nil || json.Unmarshal(payload, &m) != nil || m == nil {
		return idClaims{}, errUnreadableID
	}
	c := idClaims{
		issuer: m.text("iss"), subject: m.text("sub"),
		party: asJSON(m["azp"]), nonce: asJSON(m["nonce"]), authTime: asJSON(m["auth_time"]),
		issuedAt: numericDate(m["iat"]), expiry: numericDate(m["exp"]),
	}
	switch aud := m["aud"].(type) {
	case string:
		c.audience = []string{aud}
	case []any:
		for _, one := range aud {
			name, _ := one.(string)
			c.audience = append(c.audience, name)
		}
	}
	if c.issuer == "" || c.subject == "" {
		return idClaims{}, errUnreadableID
	}
	return c, nil
}

// asJSON returns a claim in a form that can be compared.
func asJSON(claim any) string {
	if claim == nil {
		return ""
	}
	text, err := json.Marshal(claim)
	if err != nil {
		return ""
	}
	return string(text)
}

// numericDate returns the time of a claim, zero if it has none.
func numericDate(v any) time.Time {
	seconds, ok := v.(float64)
	if !ok || seconds <= 0 || seconds > math.MaxUint32*16 {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0)
}

// checkID returns why an ID token of a token response must not take the place
// of the one before, which may be empty. It returns [ErrOtherSubject] if it is
// that of another user: then the other tokens are as well.
//
// At a sign-in nothing is checked: who signs in verifies the ID token by its
// signature and its nonce.
func (o *OAuth2) checkID(id, before string, refreshed bool) error {
	if !refreshed {
		return nil
	}
	now, err := readID(id)
	if err != nil {
		return err
	}
	old, err := readID(before)
	known := err == nil
	if !known && o.Discovery != nil {
		old.issuer = o.Discovery.Issuer
	}
	unlike := func(claim string) error {
		return fmt.Errorf("has an ID token with another %s than the sign-in's", claim)
	}
	// OpenID Connect Core 1.0, section 12.2.
	switch {
	case old.issuer != "" && !isSameIssuer(old.issuer, now.issuer):
		return unlike("iss")
	case known && now.subject != old.subject:
		return ErrOtherSubject
	case !slices.Contains(now.audience, o.ClientID):
		return errors.New("has an ID token for another client")
	case now.party != "" && now.party != cmp.Or(old.party, asJSON(o.ClientID)):
		return unlike("azp")
	case now.nonce != "" && old.nonce != "" && now.nonce != old.nonce: // the one before need not have the sign-in's
		return unlike("nonce")
	case now.authTime != "" && old.authTime != "" && now.authTime != old.authTime:
		return unlike("auth_time")
	case now.issuedAt.IsZero():
		return errors.New("has an ID token without iat")
	case known && now.issuedAt.Before(old.issuedAt):
		return errors.New("has an ID token that is older than the one before")
	case !now.expiry.After(time.Now()):
		return errors.New("has an ID token that has expired")
	}
	return nil
}

// isSameIssuer reports whether two issuers are one. Google's is with and
// without https in tokens of the same login.
func isSameIssuer(a, b string) bool {
	const google = "https://accounts.google.com"
	return a == b || "https://"+a == b && b == google || "https://"+b == a && a == google
}
