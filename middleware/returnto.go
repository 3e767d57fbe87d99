package middleware

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// withReturnTo adds the page that r asks for to a login URL.
func withReturnTo(login string, r *http.Request) string {
	u, err := url.Parse(login)
	if err != nil { // Validate has parsed it before
		return login
	}
	asked := r.RequestURI               // what the browser sent, whatever prefix a mux has stripped from r.URL
	if !strings.HasPrefix(asked, "/") { // made by hand, or in the absolute form of proxies
		asked = r.URL.RequestURI()
	}
	q := u.Query()
	q.Set("return_to", ReturnTo(asked))
	u.RawQuery = q.Encode()
	return u.String()
}

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
// query, and "/" otherwise: what may be put into a Location header although a
// client has sent it. Whatever a browser, or a server that decodes it once
// more, could read as another origin is refused.
func ReturnTo(target string) string {
	if len(target) > maxReturnTo || !isLocal(target) {
		return "/"
	}
	if decoded, err := url.PathUnescape(target); err != nil || !isLocal(decoded) {
		return "/"
	}
	return target
}

const maxReturnTo = 2048

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
