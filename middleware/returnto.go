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
// query, and otherwise "/". Its result is safe in a Location header although a
// client has sent target: ReturnTo rejects whatever a browser, or a server that
// decodes it once more, could take for a URL of another origin.
func ReturnTo(target string) string {
	if len(target) > maxReturnTo || !isLocal(target) {
		return "/"
	}
	if decoded, err := url.PathUnescape(target); err != nil || !isLocal(decoded) {
		return "/"
	}
	return target
}

// maxReturnTo is the longest target that ReturnTo accepts, in bytes.
const maxReturnTo = 2048

// isLocal reports whether target is a path on this origin.
func isLocal(target string) bool {
	if !strings.HasPrefix(target, "/") || strings.HasPrefix(target, "//") {
		return false
	}
	for i := range len(target) {
		// Browsers take a backslash for a slash and drop tabs and newlines.
		if c := target[i]; c <= ' ' || c == '\\' || c == 0x7f {
			return false
		}
	}
	u, err := url.Parse(target)
	return err == nil && u.Scheme == "" && u.Host == "" && u.User == nil
}
