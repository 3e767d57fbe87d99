// Package describe makes what a provider says of an error in its own words fit
// for a log.
package describe

import (
	"regexp"
	"strings"
	"unicode"
)

const (
	maxDescription = 300 // characters
	maxRead        = 4096
)

// Error returns what a provider says in its own words, for a log: printable and
// bounded, and nothing at all if it repeats a secret that was sent.
func Error(text string, sent []string) string {
	text = strings.Map(func(c rune) rune {
		if unicode.IsSpace(c) {
			return ' '
		}
		if !unicode.IsPrint(c) || c == unicode.ReplacementChar {
			return -1
		}
		return c
	}, text[:min(len(text), maxRead)])
	text = strings.Join(strings.Fields(text), " ")
	if Repeats(text, sent...) {
		return ""
	}
	text = maybeSecret.ReplaceAllStringFunc(text, func(word string) string {
		if isUUID.MatchString(word) || !strings.ContainsAny(word, "0123456789") {
			return word
		}
		return "…"
	})
	if all := []rune(text); len(all) > maxDescription {
		return string(all[:maxDescription-1]) + "…"
	}
	return text
}

var (
	// maybeSecret is a word that could be a token. A provider that knows more
	// secrets than those of the request can mention one.
	maybeSecret = regexp.MustCompile(`[A-Za-z0-9+/=_.~%-]{16,}`)

	// isUUID is a trace or correlation ID, which its support asks for.
	isUUID = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\.?$`)
)
