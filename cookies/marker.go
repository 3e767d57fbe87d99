package cookies

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	defaultAhead = 30 * time.Second

	// signedOut is the marker's value when there is no login and scripts need
	// not ask for one.
	signedOut = "0"

	// maxUnix is the last second of the year 9999, beyond which a time has no
	// usual notation.
	maxUnix = 253402300799
)

// mark returns the marker's value for a token and its Max-Age in seconds. The
// value is empty where there is no time to tell, because the expiry is not
// known or has passed: then there is no marker, and a script asks.
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

// seconds returns an age that deletes nothing and that browsers accept.
func seconds(d time.Duration) int {
	return int(min(max(d, time.Second), maxAge) / time.Second)
}

// Marker returns what the marker in a request says: when the access token ends,
// or the zero time where the last answer ended the login. It returns false
// where the marker is absent, malformed, or there are two. Like everything that
// a script can write, the marker is a hint and proves nothing.
func (p Policy) Marker(r *http.Request) (expiry time.Time, ok bool) {
	n := p.names()
	var c carried
	c.scan(&n, r.Header["Cookie"])
	m := &c[marker]
	if !m.present.has(whole) || m.twice.has(whole) {
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
