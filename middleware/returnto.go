package middleware

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// withReturnTo returns a login URL with the URL of r in its parameter
// return_to.
func withReturnTo(login string, r *http.Request) string {
	u, err := url.Parse(login)
	if err != nil { // Validate has parsed it, so there is none
		return login
	}
	asked := r.RequestURI               // r.URL may lack a prefix that a mux has stripped
	if !strings.HasPrefix(asked, "/") { // empty in a test, or a full URL from a proxy
		asked = r.URL.RequestURI()
	}
	// Browsers leave a backslash in a query as it is. ReturnTo takes it escaped.
	if path, query, ok := strings.Cut(asked, "?"); ok {
		asked = path + "?" + strings.ReplaceAll(query, `\`, "%5C")
	}
	q := u.Query()
	q.Set("return_to", ReturnTo(asked))
	u.RawQuery = q.Encode()
	return u.String()
}

// checkLoginURL returns what is wrong with an Auth.LoginURL.
func checkLoginURL(login string) error {
	if login == "" {
		return nil
	}
	u, err := url.Parse(login)
	if err != nil {
		return errors.New("not a URL")
	}
	if u.Scheme != "" && u.Scheme != "https" && u.Scheme != "http" || u.Scheme == "" && !strings.HasPrefix(login, "/") {
		return errors.New("neither a path nor an http URL")
	}
	return nil
}

// ReturnTo returns target if it is a path on this origin, with or without a
// query and a fragment, and otherwise "/". Its result is safe in a Location
// header although a client has sent target: ReturnTo rejects whatever a
// browser, or a server that decodes its path once more, could take for a URL of
// another origin. Escapes in the query and the fragment may stand for anything:
// these name no origin.
func ReturnTo(target string) string {
	if len(target) > maxReturnTo || hasDoubtful(target, ' ') {
		return "/"
	}
	u, err := url.Parse(target) // a broken escape in the path is an error
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil {
		return "/"
	}
	raw := target
	if i := strings.IndexAny(target, "?#"); i >= 0 {
		raw = target[:i]
	}
	if !isLocalPath(raw) || !isLocalPath(u.Path) || hasDoubtful(u.Path, ' '-1) {
		return "/"
	}
	return target
}

// maxReturnTo is the longest target that ReturnTo accepts, in bytes.
const maxReturnTo = 2048

// hasDoubtful reports whether s has a backslash, which browsers take for a slash,
// or one of the bytes up to last, of which they drop some: control characters,
// and perhaps the space.
func hasDoubtful(s string, last byte) bool {
	for i := range len(s) {
		if c := s[i]; c <= last || c == '\\' || c == 0x7f {
			return true
		}
	}
	return false
}

// isLocalPath reports whether p is the path of a URL, and stays one when its dot
// segments are removed: a URL that begins with two slashes names a host (RFC
// 3986 section 4.2). Of an escaped path, p is decoded.
func isLocalPath(p string) bool {
	p, ok := strings.CutPrefix(p, "/")
	if !ok || strings.HasPrefix(p, "/") {
		return false
	}
	var kept []string
	for segment := range strings.SplitSeq(p, "/") {
		switch {
		case segment == ".":
		case segment != "..":
			kept = append(kept, segment)
		case len(kept) > 0:
			kept = kept[:len(kept)-1]
		}
	}
	if strings.HasSuffix(p, "/.") || strings.HasSuffix(p, "/..") {
		kept = append(kept, "") // of dots at the end, the slash stays
	}
	return len(kept) < 2 || kept[0] != ""
}
