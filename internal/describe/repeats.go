package describe

import (
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"regexp"
	"strings"
	"unicode"
)

// shown is how many characters of a secret are too many.
const shown = 12

// encoded is what may be base64, base64url or hexadecimal.
var encoded = regexp.MustCompile(`[A-Za-z0-9+/_-]{16,}`)

// Repeats reports whether a text shows a piece of a secret, of 12 characters or
// the whole of a shorter one: as it is, in another case, escaped for a URL, in
// base64 or hexadecimal, or with other signs in between.
func Repeats(text string, secrets ...string) bool {
	forms := formsOf(text)
	for _, run := range encoded.FindAllString(text, -1) {
		forms = append(forms, decoded(run)...)
	}
	pieces := make(map[string]bool)
	for i, form := range forms {
		form = strings.ToLower(form)
		forms[i] = form
		for j := range len(form) - shown + 1 {
			pieces[form[j:j+shown]] = true
		}
	}
	for _, secret := range secrets {
		if 4 <= len(secret) && len(secret) < shown {
			for _, form := range forms {
				if strings.Contains(form, strings.ToLower(secret)) {
					return true
				}
			}
		}
		escaped := formsOf(url.QueryEscape(secret))
		for _, form := range append(formsOf(secret), escaped[:2]...) {
			form = strings.ToLower(form)
			for j := range len(form) - shown + 1 {
				if pieces[form[j:j+shown]] {
					return true
				}
			}
		}
	}
	return false
}

// formsOf returns a text, and its letters and digits alone: each as it is and
// without the escapes of a URL.
func formsOf(text string) []string {
	forms := []string{text, plain(text)}
	if unescaped, err := url.PathUnescape(text); err == nil && unescaped != text {
		forms = append(forms, unescaped, plain(unescaped))
	}
	return forms
}

// plain returns the letters and digits of a text.
func plain(text string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsLetter(c) || unicode.IsDigit(c) {
			return c
		}
		return -1
	}, text)
}

// decoded returns what a piece of base64 or hexadecimal may stand for, wherever
// it begins.
func decoded(run string) (all []string) {
	run = strings.NewReplacer("-", "+", "_", "/").Replace(run)
	for skip := range 4 {
		rest := run[skip:]
		if b, err := base64.RawStdEncoding.DecodeString(rest[:len(rest)/4*4]); err == nil {
			all = append(all, string(b), plain(string(b)))
		}
		if b, err := hex.DecodeString(rest[:len(rest)/2*2]); err == nil {
			all = append(all, string(b), plain(string(b)))
		}
	}
	return all
}
