package refresh

import (
	"net/http"
	"slices"
	"strings"
	"unicode"
)

// maxWords is how many bytes of a description are looked at.
const maxWords = 4 << 10

// isFinal reports whether a refusal of the token endpoint, with a status, an
// error code and a description, means that the refresh token, or the
// authorization code, will never be accepted again. Only the provider's own
// word means that: an OAuth error (RFC 6749, section 5.2). A status without a
// code means nothing, as a proxy may have answered.
//
// Not every provider keeps to the codes of the standards. A code that nobody
// knows ends the login with a status that refusals have, unless it is about the
// client or the provider, or is no more than a status in words: those are the
// errors of gateways and frameworks. So does invalid_request, which some say of
// a refresh token that is no longer good, unless its description is about the
// client. Dex says there that the "token is invalid or has already been claimed
// by another client", which is about the token. Likewise access_denied ends the
// login unless its description is that of another refusal: Auth0 says
// "Unauthorized" of a wrong client secret, and Keycloak "Realm not enabled".
func isFinal(status int, code, description string) bool {
	words := wordsOf(description[:min(len(description), maxWords)])
	switch {
	case code == "", status == http.StatusTooManyRequests, status >= 500, slices.Contains(aboutOthers, code):
		return false
	case code == "access_denied":
		return !isStatusText(words) && !slices.Contains(words, "client") && !slices.Contains(words, "realm")
	case slices.Contains(aboutTheLogin, code):
		return true
	}
	switch status {
	case http.StatusOK, http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
		if code == invalidRequest {
			return !nameOthers(words) || endsToken(words)
		}
		return isCode(code) && !seemsAboutOthers(wordsOf(code))
	}
	return false
}

// isCode reports whether an error is a code, and not a sentence.
func isCode(code string) bool {
	return len(code) <= 64 && !strings.ContainsFunc(code, func(c rune) bool { return c <= ' ' || c > '~' })
}

// seemsAboutOthers reports whether the words of a code that is not known are
// about the client or the provider, or the text of a status, or say nothing.
func seemsAboutOthers(words []string) bool {
	return nameOthers(words) || isStatusText(words) || !slices.ContainsFunc(words, func(word string) bool {
		return !slices.Contains([]string{"unknown", "generic", "general", "error", "failure", "failed", "exception", "invalid", "request"}, word)
	})
}

// nameOthers reports whether a word names the client, what only the client has
// a part in, or the state of the provider.
func nameOthers(words []string) bool {
	for _, word := range words {
		for _, begin := range []string{
			"client", "app", "application", "scope", "redirect", "uri", "url", "resource", "audience", "type", "method", "signature", "dpop", "header",
			"arg", "argument", "charset", "duplicat", "https", "endpoint", "deprecated", "tenant", "realm",
			"server", "service", "internal", "unavailable", "timeout", "timed", "upstream", "gateway", "proxy", "backend", "network", "tls",
			"rate", "limit", "quota", "too", "throttl", "busy", "overload", "slow", "retry", "later", "maintenance", "fatal", "unexpected",
		} {
			if word == begin || len(begin) > 3 && strings.HasPrefix(word, begin) {
				return true
			}
		}
	}
	return false
}

// endsToken reports whether words say that the refresh token is invalid, or has
// expired, or the like. What else they name comes after that.
func endsToken(words []string) bool {
	for i := range len(words) - 1 {
		if words[i] != "refresh" || words[i+1] != "token" || nameOthers(words[:i]) {
			continue
		}
		rest := words[i+2:]
		verb := slices.IndexFunc(rest, func(word string) bool {
			return !slices.Contains([]string{"is", "was", "has", "been", "already", "not"}, word)
		})
		return verb > 0 && slices.Contains([]string{"invalid", "expired", "revoked", "claimed", "used", "unknown", "found", "active"}, rest[verb])
	}
	return false
}

// isStatusText reports whether words are those of a status, such as bad_request
// or Unauthorized.
func isStatusText(words []string) bool {
	plain := strings.Join(words, "")
	for status := 400; status < 600; status++ {
		if text := http.StatusText(status); text != "" && plain == strings.Join(wordsOf(text), "") {
			return true
		}
	}
	return false
}

// wordsOf returns the words of a code in lower case, whether they are joined by
// a sign or by a capital letter.
func wordsOf(code string) (words []string) {
	var word []rune
	end := func() {
		if len(word) > 0 {
			words = append(words, strings.ToLower(string(word)))
		}
		word = nil
	}
	small := false // the letter before
	for _, c := range code {
		if !unicode.IsLetter(c) || unicode.IsUpper(c) && small {
			end()
		}
		if unicode.IsLetter(c) {
			word = append(word, c)
		}
		small = unicode.IsLower(c)
	}
	end()
	return words
}
