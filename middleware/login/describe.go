package login

import (
	"regexp"
	"strings"
	"unicode"
)

const (
	maxDescription = 200 // bytes

	// minRepeated is the shortest piece of a secret that no text may repeat, in
	// bytes.
	minRepeated = 12
)

var (
	// words are what a token, a code or a key is made of.
	words = regexp.MustCompile(`[A-Za-z0-9_~+/=.-]{20,}`)

	// guid is the form of most providers' trace IDs.
	guid = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
)

// describe returns a provider's error_description (RFC 6749, section 4.1.2.1)
// for the log. Anybody may have written it, so it is one line of at most
// maxDescription bytes without quotes, markup and control characters. Words
// that may be tokens are left out.
func describe(text string) string {
	text = text[:min(len(text), 8*maxDescription)]
	text = words.ReplaceAllStringFunc(strings.ToValidUTF8(text, "?"), func(word string) string {
		if len(word) <= 40 && (guid.MatchString(word) || !strings.ContainsAny(word, "0123456789")) {
			return word
		}
		return "…"
	})
	text = strings.Map(func(c rune) rune {
		switch {
		case unicode.IsSpace(c):
			return ' '
		case !unicode.IsPrint(c), strings.ContainsRune("<>&\"'`\\", c):
			return '?'
		}
		return c
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	return strings.TrimSpace(strings.ToValidUTF8(text[:min(len(text), maxDescription)], ""))
}

// repeats reports whether text has a piece of a secret of this attempt.
func (a *attempt) repeats(text string) bool {
	for _, secret := range []string{a.State, a.Nonce, a.Verifier} {
		for i := 0; i+minRepeated <= len(secret); i++ {
			if strings.Contains(text, secret[i:i+minRepeated]) {
				return true
			}
		}
	}
	return false
}
