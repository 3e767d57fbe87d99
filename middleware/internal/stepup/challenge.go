package stepup

import (
	"slices"
	"strconv"
	"strings"
)

// insufficient is the error code of the challenge (RFC 9470, section 3).
const insufficient = "insufficient_user_authentication"

const (
	maxLine = 4 << 10 // bytes of a challenge
	maxACR  = 512     // bytes of acr_values
)

// Challenge returns the parameters of a challenge that demands d.
func (d Demand) Challenge() string {
	text := `error="` + insufficient + `", error_description="the user has to be authenticated in another way, or again"`
	q := d.Params()
	for _, name := range []string{"acr_values", "max_age"} {
		if q.Has(name) {
			text += ", " + name + `="` + q.Get(name) + `"`
		}
	}
	return text
}

// Parse returns what the challenges in the lines of a WWW-Authenticate header
// demand (RFC 9470, section 3). It reports whether one of them, of the scheme
// Bearer or DPoP, demands anything. What is malformed in it is left out, so
// that the Demand may be zero all the same.
func Parse(lines []string) (d Demand, found bool) {
	for _, line := range lines {
		// Most answers have no such challenge.
		if len(line) > maxLine || !strings.Contains(line, insufficient) {
			continue
		}
		for _, c := range challenges(line) {
			if c.params["error"] != insufficient || !strings.EqualFold(c.scheme, "Bearer") && !strings.EqualFold(c.scheme, "DPoP") {
				continue
			}
			if acr := c.params["acr_values"]; strings.TrimSpace(acr) != "" && len(acr) <= maxACR && isPrintable(acr) {
				d.ACR = strings.Fields(acr)
			}
			if seconds, err := strconv.ParseUint(c.params["max_age"], 10, 31); err == nil {
				age := int64(seconds)
				d.MaxAge = &age
			}
			return d, true
		}
	}
	return d, false
}

// isPrintable reports whether s fits into a quoted string without a backslash.
func isPrintable(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c > '~' || c == '"' || c == '\\' })
}

// IsValue reports whether s can be one of acr_values.
func IsValue(s string) bool {
	return s != "" && len(s) <= maxACR && isPrintable(s) && !strings.Contains(s, " ")
}

// A challenge is one of a WWW-Authenticate header (RFC 9110, section 11.6.1).
type challenge struct {
	scheme string
	params map[string]string // names in lower case
}

// challenges reads a line of a WWW-Authenticate header. It stops where the line
// is malformed.
func challenges(line string) []challenge {
	var all []challenge
	for {
		line = strings.TrimLeft(line, " \t,")
		name, rest := token(line)
		if name == "" {
			return all
		}
		after := strings.TrimLeft(rest, " \t")
		// A name with "=" is a parameter, any other a scheme. After the "=" of a
		// token68 there is nothing, or another "=".
		if !strings.HasPrefix(after, "=") {
			all = append(all, challenge{name, map[string]string{}})
			line = rest
			continue
		}
		value, rest, ok := value(strings.TrimLeft(after[1:], " \t"))
		if !ok || len(all) == 0 {
			return all
		}
		last := all[len(all)-1].params
		if key := strings.ToLower(name); value != "" {
			if _, twice := last[key]; twice {
				return slices.Delete(all, len(all)-1, len(all)) // it means nothing for certain
			}
			last[key] = value
		}
		line = rest
	}
}

// token returns the token at the beginning of s, and the rest.
func token(s string) (string, string) {
	n := strings.IndexFunc(s, func(c rune) bool {
		return c <= ' ' || c > '~' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c)
	})
	if n < 0 {
		n = len(s)
	}
	return s[:n], s[n:]
}

// value returns the value of a parameter at the beginning of s, a token or a
// quoted string, and the rest.
func value(s string) (string, string, bool) {
	if !strings.HasPrefix(s, `"`) {
		v, rest := token(s)
		return v, strings.TrimLeft(rest, "="), true
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return b.String(), s[i+1:], true
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}
