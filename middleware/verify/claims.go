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

// maxEventAge is how long a security event token without exp is accepted after
// its iat.
const maxEventAge = 5 * time.Minute

// maxDate is the last second of the year 9999. A date in milliseconds is later,
// and refused.
const maxDate = 253402300799

// parse reads a decoded payload. null is absent, and so is a date of zero,
// which some providers write for none: neither constrains anything. A claim
// that is read has to have its type.
func (c *claims) parse(data []byte) error {
	var reason error
	azp := true
	ok := members(data, func(name, value []byte) bool {
		ok, absent := true, string(value) == "null"
		str := func(to *[]byte) bool {
			*to, ok = text(value)
			return ok || absent
		}
		list := func(to *[]byte) bool {
			if !absent {
				*to = value
			}
			return absent || isStrings(value)
		}
		date := func(to *int64) bool {
			*to, ok = date(value)
			return ok || absent
		}
		switch string(name) {
		case "iss":
			ok = str(&c.iss)
		case "sub":
			ok = str(&c.sub)
			c.hasSub = len(c.sub) > 0
		case "sid":
			ok = str(&c.sid)
		case "origin_jti": // not a registered claim: another type counts as absent
			str(&c.origin)
			ok = true
		case "jti":
			// Some providers count their tokens: a number names one as well.
			if ok = str(&c.jti); !ok && isNumber(value) {
				c.jti, ok = value, true
			}
		case "client_id":
			ok = str(&c.clientID)
		case "azp":
			azp, ok = str(&c.azp), true
		case "token_use":
			str(&c.use) // judged only where the rules want one
			ok = true
		case "aud":
			ok = list(&c.aud)
		case "scope":
			ok = list(&c.scope)
		case "scp":
			ok = list(&c.scp)
		case "exp":
			ok = date(&c.exp) && c.exp >= 0
			c.hasExp = c.exp > 0
		case "nbf":
			ok = date(&c.nbf)
			c.hasNbf = c.nbf > 0
		case "iat":
			ok = date(&c.iat)
			c.hasIat = c.iat > 0
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
			reason = refusal("claim " + string(name) + " is of the wrong type") // one of those above
		}
		return ok
	})
	switch {
	case reason != nil:
		return reason
	case !ok:
		return refusal("payload is not a plain JSON object")
	case !azp && len(c.clientID) == 0: // it would name the client
		return refusal("claim azp is of the wrong type")
	case c.isSecurityEventToken && !c.hasExp && c.hasIat && len(c.jti) > 0:
		// RFC 8417 section 4.1 recommends no exp. Such a token is bound by its
		// iat, and by its jti to be used once.
		c.exp, c.hasExp = c.iat+int64(maxEventAge/time.Second), true
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

// date reads a NumericDate (RFC 7519 section 2): a number to the end of the
// year 9999, without its fraction. One between 0 and 1 is none.
func date(value []byte) (int64, bool) {
	var n int64
	for _, c := range value {
		if c < '0' || c > '9' || n > maxDate {
			f, err := strconv.ParseFloat(string(value), 64)
			// The comparisons are false for NaN.
			return int64(f), err == nil && (f == 0 || f >= 1 || f <= -1) && -maxDate <= f && f <= maxDate
		}
		n = 10*n + int64(c-'0')
	}
	return n, n <= maxDate
}

// isNumber reports whether value, which is JSON, is a number.
func isNumber(value []byte) bool {
	return value[0] == '-' || '0' <= value[0] && value[0] <= '9'
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
		return &mismatch{"alg", []string{h.alg.method.Alg()}, r.Algorithms, "Issuer.Algorithms"}
	case !r.acceptsType(h.typ):
		return &mismatch{"typ", some(h.typ), r.types, "Issuer.Types"}
	case c.isSecurityEventToken && !r.securityEvents:
		return refusal("a security event token")
	case !c.hasExp && c.isSecurityEventToken:
		return refusal("no exp, and not both iat and jti")
	case !c.hasExp:
		return refusal("no exp")
	case !c.hasSub && !(r.securityEvents && len(c.sid) > 0):
		return refusal("no sub")
	case !r.isFrom(c.iss):
		return otherIssuer(c.iss, printable(r.URL))
	case !r.skipAudience && !r.isFor(c.aud):
		return &mismatch{"aud", someOf(c.aud), r.Audience, "Issuer.Audience"}
	case r.use != "" && r.use != string(c.use):
		return &mismatch{"token_use", some(c.use), []string{r.use}, ""}
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
