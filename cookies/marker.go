package cookies

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	defaultAhead = 30 * time.Second

	// signedOut is the marker's value after a sign-out. Scripts that see it do
	// not ask for a refresh.
	signedOut = "0"

	// maxUnix is the last second of the year 9999. Later times have no usual
	// notation.
	maxUnix = 253402300799
)

// mark returns the marker's value for a token and its Max-Age in seconds. The
// value is empty if the expiry is not known or has passed. Then no marker is
// set, and a script that finds none asks for a refresh.
func (p *Policy) mark(access string, expiry, now time.Time) (value string, age int) {
	left := expiry.Sub(now)
	if expiry.IsZero() || left <= 0 {
		return "", -1
	}
	ahead := p.Ahead
	if ahead == 0 {
		ahead = defaultAhead
	}
	value = strconv.FormatInt(min(expiry.Unix(), maxUnix), 10) + "." + digest("generation", access)
	return value, seconds(DueAt(now, expiry, ahead).Sub(now))
}

// DueAt returns when an access token is due to be exchanged: ahead of its expiry,
// but never by more than a quarter of its life. That is the expiry itself where ahead
// is negative or the time of issue is not known, and the zero time for a token
// without an expiry.
func DueAt(issued, expiry time.Time, ahead time.Duration) time.Time {
	if issued.IsZero() || expiry.IsZero() {
		return expiry
	}
	return expiry.Add(-max(0, min(ahead, expiry.Sub(issued)/4)))
}

// seconds returns d as a Max-Age: at least one second, as zero would delete the
// cookie, and at most what browsers accept.
func seconds(d time.Duration) int {
	return int(min(max(d, time.Second), maxAge) / time.Second)
}

// Marker reads the marker of a request and returns the expiry of the access
// token, or the zero time after a sign-out. It returns false if the marker is
// absent, malformed, or there are two. Scripts can write the marker, so it is a
// hint and proves nothing.
func (p Policy) Marker(r *http.Request) (expiry time.Time, ok bool) {
	n := p.names()
	var c parsed
	c.scan(&n, r.Header["Cookie"])
	m := &c[marker]
	if !m.present.has(whole) || m.duplicate.has(whole) {
		return time.Time{}, false
	}
	if m.value == signedOut {
		return time.Time{}, true
	}
	stamp, generation, ok := strings.Cut(m.value, ".")
	if !ok || len(generation) != digestSize || strings.Trim(generation, base64url) != "" {
		return time.Time{}, false
	}
	unix, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || unix <= 0 || unix > maxUnix || stamp[0] == '0' || stamp[0] == '+' {
		return time.Time{}, false
	}
	return time.Unix(unix, 0), true
}

const base64url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
