package stepup

import "github.com/tokenlife/tokenlife/cookies"

// CookieLife is how long a browser comes from a sign-in, in seconds.
const CookieLife = 30

// CookieName returns the name of the cookie of a browser that comes from a
// sign-in with a demand. Its value is the demand's Mark. If the same is
// demanded once more, another sign-in would bring no more, and the browser
// would go round in circles.
func CookieName(p cookies.Policy) string { return CookiePrefix(p) + "done" }

// CookiePrefix returns what the names of all cookies of sign-ins begin with.
func CookiePrefix(p cookies.Policy) string {
	const name = "tokenLogin-"
	switch {
	case p.InsecureHTTP:
		return name
	case p.Domain != "":
		return "__Secure-" + name
	}
	return "__Host-" + name
}
