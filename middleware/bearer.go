package middleware

import (
	"net/http"
	"strings"
)

// bearerToken returns the token in the Authorization header (RFC 6750 section
// 2.1), or "" if there is none. Another scheme than Bearer is not ours to judge.
func bearerToken(h http.Header) (string, error) {
	values := h["Authorization"]
	if len(values) == 0 {
		return "", nil
	}
	if len(values) > 1 {
		// Which of them counts, this server and the next may see differently.
		return "", errTwoHeaders
	}
	scheme, token, found := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		if first, _, tab := strings.Cut(scheme, "\t"); tab && strings.EqualFold(first, "Bearer") {
			return "", errMalformed // what is behind may take a tab for a space
		}
		return "", nil
	}
	if token = strings.Trim(token, " "); !found || token == "" || strings.IndexByte(token, ' ') >= 0 {
		return "", errMalformed
	}
	return token, nil
}

// maxLooked is how much of a refused token is looked at to say why.
const maxLooked = 256

// isBearerToken tells whether s has only characters of a bearer token: b64token
// of RFC 6750. It is asked of refused tokens only; a good one need not be read
// twice.
func isBearerToken(s string) bool {
	for i := range min(len(s), maxLooked) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-', c == '.', c == '_', c == '~', c == '+', c == '/', c == '=':
		default:
			return false
		}
	}
	return true
}
