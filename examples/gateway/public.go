package main

import (
	"net/url"
	"path"
	"strings"
)

// isPublic reports whether a request for the path escaped, as it stands in the
// URL, needs no login: one of the prefixes matches it in whole segments.
//
// The upstream gets the path as the client sent it, and may read it in another
// way: decode it twice, resolve dot segments before or after that, cut off
// parameters at a semicolon, take a backslash for a slash, forget about case.
// So only a path that has one meaning can be public; any other needs a login.
func isPublic(prefixes []string, escaped string) bool {
	decoded, err := url.PathUnescape(escaped)
	if err != nil || !isPlain(decoded) || strings.Count(escaped, "/") != strings.Count(decoded, "/") {
		return false
	}
	clean := path.Clean(decoded)
	if clean != decoded && clean+"/" != decoded {
		return false
	}
	for _, p := range prefixes {
		if p == "/" || clean == p || strings.HasPrefix(clean, p+"/") {
			return true
		}
	}
	return false
}

// isPlain reports whether nothing in a decoded path has a second meaning to
// anybody: it is of printable ASCII, and no segment looks like dots to a
// server that drops what follows them.
func isPlain(decoded string) bool {
	for _, c := range []byte(decoded) {
		if c < ' ' || c > '~' || c == '\\' || c == ';' || c == '%' {
			return false
		}
	}
	for segment := range strings.SplitSeq(decoded, "/") {
		if strings.HasPrefix(segment, "..") || strings.Trim(segment, ". ") == "" && segment != "" {
			return false
		}
	}
	return strings.HasPrefix(decoded, "/")
}
