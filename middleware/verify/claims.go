package verify

import (
	"bytes"
	"strconv"
	"time"
)

// claims are the claims of a token that this package reads. The slices point
// into the buffer that the payload was decoded into.
type claims struct {
	iss, sub, jti, use   []byte
	clientID, azp        []byte
	sid, origin          []byte // origin is origin_jti, Cognito's name for a login
	aud, scope, scp      []byte // undecoded: a string or an array of strings
	groups               []byte // likewise: the claim that Issuer.GroupsClaim names
	exp, nbf, iat        int64  // Unix seconds
	hasExp, hasNbf       bool
	hasIat, hasSub       bool
	isSecurityEventToken bool
}

// maxDate is the last second of the year 9999. A date in milliseconds is later,
// and refused.
const maxDate = 253402300799

// parse reads a decoded payload.
func (c *claims) parse(data []byte) error {
	var reason error
	ok := members(data, func(name, value []byte) bool {
		ok := true
		switch string(name) {
		case "iss":
			c.iss, ok = text(value)
		case "sub":
			c.sub, ok = text(value)
			c.hasSub = len(c.sub) > 0
		case "sid":
			c.sid, ok = text(value)
		case "origin_jti": // not a registered claim: another type counts as absent
			c.origin, _ = text(value)
		case "jti":
			c.jti, ok = text(value)
		case "client_id":
			c.clientID, ok = text(value)
		case "azp":
			c.azp, ok = text(value)
		case "token_use":
			c.use, ok = text(value)
		case "aud":
			c.aud, ok = value, isStrings(value)
		case "scope":
			c.scope, ok = value, isStrings(value)
		case "scp":
			c.scp, ok = value, isStrings(value)
		case "exp":
			c.exp, ok = date(value)
			c.hasExp = true
		case "nbf":
			c.nbf, ok = date(value)
			c.hasNbf = true
		case "iat":
			c.iat, ok = date(value)
			c.hasIat = true
		case "events":
			// RFC 8417 section 2.2: an object, which only tokens have that
			// report an event, such as a back-channel logout.
			c.isSecurityEventToken = value[0] == '{'
		default:
			if isCasedClaim(name) {
				reason = refusal("a registered claim in another case")
				return false
			}
		}
		if !ok {
			reason = refusal("a registered claim of the wrong type")
		}
		return ok
	})
	switch {
	case reason != nil:
		return reason
	case !ok:
		return refusal("payload is not a plain JSON object")
	}
	return nil
}

// isCasedClaim reports whether name is a registered claim but for the case of
// its letters: a reader that ignores case would take it for that claim.
func isCasedClaim(name []byte) bool {
	return otherCase(name, "iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "azp",
		"scope", "scp", "token_use", "events", "nonce", "auth_time", "acr", "amr", "cnf", "sid")
}

// session returns the provider's name for the login, or nothing.
func (c *claims) session() []byte {
	if len(c.sid) > 0 {
		return c.sid
	}
	return c.origin
}

// findGroups stores the claim of this name, from a payload that parse accepted.
func (c *claims) findGroups(payload []byte, claim string) {
	if claim == "" {
		return
	}
	members(payload, func(name, value []byte) bool {
		if string(name) == claim && isStrings(value) {
			c.groups = value
		}
		return true
	})
}

// date reads a NumericDate (RFC 7519 section 2): a number from 1 to the end of
// the year 9999, without its fraction.
func date(value []byte) (int64, bool) {
	var n int64
	for _, c := range value {
		if c < '0' || c > '9' || n > maxDate {
			f, err := strconv.ParseFloat(string(value), 64)
			// The comparisons are false for NaN.
			return int64(f), err == nil && f >= 1 && f <= maxDate
		}
		n = 10*n + int64(c-'0')
	}
	return n, 1 <= n && n <= maxDate
}

// isStrings reports whether value is a string or an array of strings.
func isStrings(value []byte) bool {
	if value[0] == '"' {
		return true
	}
	return elements(value, func(element []byte) bool { return element[0] == '"' })
}

// stringsOf decodes a value for which isStrings is true. With split, it splits
// each string at its spaces.
func stringsOf(value []byte, split bool) []string {
	var out []string
	add := func(element []byte) bool {
		s, ok := text(element)
		if !ok {
			return true
		}
		if !split {
			out = append(out, string(s))
			return true
		}
		for field := range bytes.FieldsSeq(s) {
			out = append(out, string(field))
		}
		return true
	}
	switch {
	case len(value) == 0:
	case value[0] == '"':
		add(value)
	default:
		elements(value, add)
	}
	return out
}

// judge checks the header and the claims against the rules, before any key is
// looked for. It returns ErrExpired only if nothing else is wrong.
func (r *rules) judge(h *header, c *claims, now time.Time) error {
	leeway := r.leeway
	switch {
	case r.algorithms&h.alg.bit == 0:
		return refusal("algorithm not accepted")
	case !r.acceptsType(h.typ):
		return refusal("typ not accepted")
	case c.isSecurityEventToken && !r.securityEvents:
		return refusal("a security event token")
	case !c.hasExp:
		return refusal("no exp")
	case !c.hasSub && !(r.securityEvents && len(c.sid) > 0):
		return refusal("no sub")
	case !r.isFrom(c.iss):
		return errIssuer
	case !r.skipAudience && !r.isFor(c.aud):
		return refusal("for another audience")
	case r.use != "" && r.use != string(c.use):
		return refusal("for another use")
	case c.hasNbf && time.Unix(c.nbf, 0).After(now.Add(leeway)):
		return refusal("not valid yet")
	case c.hasIat && time.Unix(c.iat, 0).After(now.Add(leeway)):
		return refusal("issued in the future")
	case !now.Before(time.Unix(c.exp, 0).Add(leeway)):
		return ErrExpired
	}
	return nil
}

// expHint searches a payload for what looks like exp, without parsing the rest.
// It may be wrong, so it only chooses between a cheap and a full check.
func expHint(payload []byte) (exp int64, ok bool) {
	// bytes.Index searches for the first byte first, and x is rare in payloads.
	i := bytes.Index(payload, []byte(`xp":`))
	if i < 2 || payload[i-1] != 'e' || payload[i-2] != '"' {
		return 0, false
	}
	for _, c := range payload[i+len(`xp":`):] {
		if c < '0' || c > '9' || exp > maxDate {
			break
		}
		exp, ok = 10*exp+int64(c-'0'), true
	}
	return exp, ok
}
