package stepup

import (
	"slices"
	"strings"

	"github.com/tokenlife/tokenlife/cookies"
)

const (
	// CookieLife is how long a browser comes from a sign-in, in seconds.
	CookieLife = 30

	// maxMarks is how many sign-ins that were demanded a browser makes in a row.
	// Each is four redirects, and browsers follow twenty.
	maxMarks = 4
)

// CookieName returns the name of the cookie of a browser that comes from
// sign-ins that were demanded. Its value is the marks of the demands. If one of
// them is demanded once more, another sign-in would bring no more, and the
// browser would go round in circles. So it would where something else is
// demanded each time.
func CookieName(p cookies.Policy) string { return CookiePrefix(p) + "done" }

// MayDemand reports whether a sign-in with d can bring more to a browser whose
// cookie has this value.
func MayDemand(d Demand, value string) bool {
	marks := strings.Split(value, ".")
	return len(marks) < maxMarks && !slices.Contains(marks, d.Mark())
}

// WithMark returns the value of the cookie after a sign-in for the demand with
// this mark.
func WithMark(value, mark string) string {
	marks := []string{mark}
	for old := range strings.SplitSeq(value, ".") {
		if len(old) == len(mark) && old != mark && len(marks) < maxMarks {
			marks = append(marks, old)
		}
	}
	return strings.Join(marks, ".")
}

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
