package leak

import (
	"iter"
	"regexp"
	"strings"
)

// A shape is what secrets of one kind look like, whatever their value: it finds
// those that no test knows.
type shape struct {
	name    string
	pattern *regexp.Regexp // its last group is the secret
	random  bool           // only a secret of such letters as nobody writes by hand
}

// shapes are of what this module, its fakes and their peers give out.
var shapes = []shape{
	{name: "a JWT", pattern: regexp.MustCompile(`(eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{16,})`)},
	{name: "a JWE", pattern: regexp.MustCompile(`(eyJ[\w-]{8,}\.[\w-]*\.[\w-]{16}\.[\w-]+\.[\w-]{22})`)},
	{name: "a PEM private key", pattern: regexp.MustCompile(`(-----BEGIN [A-Z ]*PRIVATE KEY-----)`)},
	{name: "a private part of a JWK", pattern: regexp.MustCompile(`\\?"(?:d|p|q|dp|dq|qi|k)\\?": ?\\?"([\w-]{20,})`)},

	{name: "a handle of package sessions", random: true, pattern: whole(`[A-Z2-7]{26}[\w-]{42}[AEIMQUYcgkosw048]`)},
	{name: "an access handle of package sessions", random: true, pattern: whole(`[\w-]{64}[AEIMQUYcgkosw048]`)},
	{name: "something that package cookies has sealed", random: true, pattern: whole(`1[\w-]{42,}`)},
	{name: "256 random bits: a verifier, state or token", random: true, pattern: whole(`[\w-]{42}[AEIMQUYcgkosw048]`)},
	{name: "a refresh token of refreshtest", pattern: regexp.MustCompile(`(refresh-[A-Z2-7]{8,})`)},

	{name: "a cookie's value", random: true, pattern: regexp.MustCompile(
		`(?:(?:access|refresh|id)Token(?:\.\d+)?|tokenLogin-[\w-]{12})(?:=|:\[?|\\?": ?\[?\\?")\\?"?([\w.~+/%-]{12,})`)},
	{name: "credentials of an Authorization header", random: true, pattern: regexp.MustCompile(
		`(?i:bearer|basic|dpop) +([\w.~+/-]{12,})`)},
	{name: "a parameter", random: true, pattern: regexp.MustCompile(
		`(?i)(?:\b|%3F|%26)(?:code|code_verifier|verifier|state|nonce|(?:access|refresh|id|logout)_token|id_token_hint|assertion|client_?secret|password|secret)` +
			`(?:=|%3D|:\[?|\\?": ?\[?\\?")\\?"?([\w.~+/%-]{12,})`)},
	{name: "a key of COOKIE_KEYS", pattern: regexp.MustCompile(`(?i)keys?\W{1,4}([0-9a-f]{64})\b`)},
}

// whole is a pattern that has no more of its letters before and behind it.
func whole(pattern string) *regexp.Regexp {
	return regexp.MustCompile(`(?:^|[^\w./+-])(` + pattern + `)(?:$|[^\w/+-])`)
}

// in returns the secrets of this shape in a line.
func (s shape) in(line string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, groups := range s.pattern.FindAllStringSubmatch(line, -1) {
			secret := groups[len(groups)-1]
			if s.random && !random(secret) {
				continue
			}
			if !yield(secret) {
				return
			}
		}
	}
}

// random reports whether a text looks like random bits and not like words, a name,
// a path or a number: a third of it or more is in no word, with digits and letters.
func random(text string) bool {
	text = separators.ReplaceAllString(text, "")
	rest := words.ReplaceAllString(text, "")
	return 3*len(rest) >= len(text) && strings.ContainsAny(rest, "0123456789") && strings.Trim(rest, "0123456789") != ""
}

var (
	separators = regexp.MustCompile(`[^0-9A-Za-z]+`)
	words      = regexp.MustCompile(`[A-Z]?[a-z]{2,}`) // as in a name of Go
)
